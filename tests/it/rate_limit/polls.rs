//! How often calls are polled while they wait in line, and what becomes of ten thousand of them in one poll, in which tokio lets a
//! task do no more than 128 things.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress::{Rate, RateLimit, WidenLayer};
use buttress_rate_limit::RateLimitBuilder;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Counts the polls of a future until it is ready.
struct Counted<F> {
    future: Pin<Box<F>>,
    polls: Arc<AtomicU64>,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.fetch_add(1, Relaxed);
        self.future.as_mut().poll(cx)
    }
}

fn service(
    limit: &RateLimit,
) -> impl Service<(), Response = (), Error = buttress::Error<Infallible>, Future: Send> + Clone + use<>
{
    (limit.waiting_layer(), WidenLayer).layer(service_fn(|()| async { Ok(()) }))
}

/// Makes calls whose polls are counted.
struct Meter {
    limit: RateLimit,
    polls: Arc<AtomicU64>,
}

impl Meter {
    fn new(builder: RateLimitBuilder) -> Self {
        let builder = builder.queue(100_000).max_wait(Duration::MAX);
        Self {
            limit: builder.build(),
            polls: Arc::default(),
        }
    }

    fn call(&self) -> Counted<impl Future<Output = bool> + use<>> {
        let call = service(&self.limit)
            .oneshot(())
            .map(|result| result.is_ok());
        Counted {
            future: Box::pin(call),
            polls: Arc::clone(&self.polls),
        }
    }

    /// All got in, and each was polled when it came and when it was its turn.
    #[track_caller]
    fn assert_polled_when_needed(&self, calls: u64, most: u64) {
        let (snapshot, polls) = (self.limit.snapshot(), self.polls.load(Relaxed));
        let rate = snapshot.rate;
        println!(
            "{:?} of {rate}: {polls} polls of {calls} calls",
            snapshot.algorithm
        );
        assert_eq!((snapshot.admitted_count, snapshot.waiting), (calls, 0));
        assert!(
            polls <= most * calls,
            "{rate}: {polls} polls of {calls} calls"
        );
    }
}

fn limits() -> Vec<RateLimitBuilder> {
    let mut limits = Vec::new();
    for interval in [MS, 7 * MS, 20 * MS, SECOND, 40 * SECOND] {
        let (one, four) = (Rate::new(1, interval), Rate::new(4, 4 * interval));
        limits.push(RateLimit::builder("shaper").leaky_bucket(one));
        limits.push(RateLimit::builder("bucket").token_bucket(four));
        limits.push(RateLimit::builder("window").sliding_window(four));
        limits.push(RateLimit::builder("slots").bucketed_window(four));
    }
    limits
}

// proves: A-6
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_in_line_is_polled_when_it_comes_and_when_it_is_its_turn() {
    for builder in limits() {
        let (meter, calls) = (Meter::new(builder), 100);
        let crowd: JoinSet<_> = (0..calls).map(|_| meter.call()).collect();
        assert!(crowd.join_all().await.into_iter().all(|admitted| admitted));
        meter.assert_polled_when_needed(calls, 3);
    }
}

/// They come one after the other, some leave, and some have made room by then.
// proves: A-6
#[tokio::test(start_paused = true)]
async fn a_call_that_moves_up_is_not_polled_for_that() {
    let meter = Meter::new(RateLimit::builder("shaper").leaky_bucket(Rate::per_second(50)));
    let mut staying = JoinSet::new();
    let mut leaving = Vec::new();
    for _ in 0..100 {
        staying.spawn(meter.call());
        let call = service(&meter.limit).oneshot(());
        leaving.push(tokio::spawn(tokio::time::timeout(333 * MS, call)));
        tokio::task::yield_now().await;
    }
    assert!(
        staying
            .join_all()
            .await
            .into_iter()
            .all(|admitted| admitted)
    );
    let mut left = 0;
    for call in leaving {
        left += u64::from(call.await.unwrap().is_err());
    }
    assert!(left > 80, "{left} left");
    let (snapshot, polls) = (meter.limit.snapshot(), meter.polls.load(Relaxed));
    assert_eq!((snapshot.admitted_count, snapshot.waiting), (200 - left, 0));
    assert!(polls <= 300, "{polls} polls of 100 calls");
}

// proves: A-6
#[tokio::test(start_paused = true)]
async fn nobody_in_line_is_polled_because_of_somebody_else() {
    let meter = Meter::new(RateLimit::builder("bucket").token_bucket(Rate::per_hour(1)));
    meter.limit.try_acquire().map(drop).unwrap();
    let waiting: JoinSet<_> = (0..1000).map(|_| meter.call()).collect();
    sleep(60 * SECOND).await;
    assert_eq!(meter.polls.load(Relaxed), 1000);
    // What others do is none of their business: one who leaves, one who is refused, one who only looks.
    let left = Box::pin(service(&meter.limit).oneshot(())).now_or_never();
    assert!(left.is_none(), "it has to wait, and leaves");
    assert!(meter.limit.try_acquire().is_err());
    let _ = (meter.limit.snapshot(), meter.limit.quota());
    sleep(60 * SECOND).await;
    let polls = meter.polls.load(Relaxed);
    assert!(polls <= 1001, "{polls} polls of 1000 calls");
    // A rate of ten a second lets ten a second in, and wakes no more than those.
    meter.limit.set_rate(Rate::per_second(10).burst(1)).unwrap();
    sleep(10 * SECOND).await;
    let polls = meter.polls.load(Relaxed);
    let admitted = meter.limit.snapshot().admitted_count - 1;
    assert!((95..=101).contains(&admitted), "{admitted}");
    assert!(polls <= 1001 + 2 * admitted, "{polls} polls of {admitted}");
    drop(waiting);
    // Tasks that are aborted end when their turn comes.
    sleep(MS).await;
    assert_eq!(meter.limit.snapshot().waiting, 0);
}

/// Real threads, where turns, timers and polls race.
// proves: A-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_many_threads_a_call_in_line_is_polled_no_more_often() {
    for builder in [
        RateLimit::builder("shaper").leaky_bucket(Rate::per_second(5_000)),
        RateLimit::builder("bucket").token_bucket(Rate::per_second(5_000).burst(20)),
        RateLimit::builder("window").sliding_window(Rate::new(50, 10 * MS)),
    ] {
        let (meter, calls) = (Meter::new(builder), 2_000);
        let crowd: JoinSet<_> = (0..calls).map(|_| meter.call()).collect();
        assert!(crowd.join_all().await.into_iter().all(|admitted| admitted));
        meter.assert_polled_when_needed(calls, 3);
    }
}

// === Ten thousand in one poll ===

const CROWD: u64 = 10_000;

/// Uses up what tokio lets this task do before it yields.
fn exhaust_the_budget(cx: &mut Context<'_>) {
    let mut used = 0;
    while let Poll::Ready(()) = std::pin::pin!(tokio::task::consume_budget()).poll(cx) {
        used += 1;
        assert!(used <= 128, "the budget has no end");
    }
}

// proves: A-7
#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_in_one_poll_all_get_in_while_there_are_units() {
    let rate = Rate::per_hour(100).burst(10_000);
    let limit = RateLimit::builder("crowd").token_bucket(rate).build();
    let mut calls: Vec<_> = (0..CROWD)
        .map(|_| Box::pin(service(&limit).oneshot(())))
        .collect();
    let admitted = poll_fn(|cx| {
        exhaust_the_budget(cx);
        let polled = calls.iter_mut().map(|call| call.as_mut().poll(cx));
        let admitted = polled.filter(|polled| matches!(polled, Poll::Ready(Ok(()))));
        Poll::Ready(admitted.count())
    });
    assert_eq!(admitted.await as u64, CROWD);
}

/// In one poll, and then in one task.
// proves
#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_in_one_task_all_get_their_turn() {
    let meter = Meter::new(RateLimit::builder("crowd").leaky_bucket(Rate::per_second(1000)));
    let mut calls: Vec<_> = (0..CROWD).map(|_| meter.call()).collect();
    let start = Instant::now();
    let at_once = poll_fn(|cx| {
        exhaust_the_budget(cx);
        let polled = calls.iter_mut().map(|call| Pin::new(call).poll(cx));
        Poll::Ready(polled.filter(Poll::is_ready).count() as u64)
    });
    let at_once = at_once.await;
    assert_eq!(at_once, 1);
    assert_eq!(u64::from(meter.limit.snapshot().waiting), CROWD - 1);
    let calls: FuturesUnordered<_> = calls.into_iter().skip(1).collect();
    let admitted = calls.filter(|admitted| std::future::ready(*admitted));
    assert_eq!(admitted.count().await as u64, CROWD - 1);
    let took = start.elapsed();
    assert!(took >= 9_997 * MS && took <= 10_005 * MS, "{took:?}");
    // When it came; when the crowd had got a budget, without which no timer can be made; when it joined the others, since whoever is
    // new there is polled; and when it was its turn.
    meter.assert_polled_when_needed(CROWD, 4);
}
