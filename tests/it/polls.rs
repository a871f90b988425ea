//! How often calls are polled while they wait, and what becomes of ten thousand of them in one poll, in which tokio lets a task
//! do no more than 128 things.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_bulkhead::{Bulkhead, Permit};
use buttress_core::{Priority, Rejected, WidenLayer};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};

const CROWD: usize = 10_000;

fn bulkhead(slots: u32, queue: u32) -> Bulkhead {
    let builder = Bulkhead::builder("crowd").max_concurrent(slots);
    builder.queue(queue).build()
}

/// What tokio lets a task do in one poll.
const BUDGET: usize = 128;

/// Uses up what tokio lets this task do before it yields.
fn exhaust_the_budget(cx: &mut Context<'_>) {
    let mut used = 0;
    while let Poll::Ready(()) = std::pin::pin!(tokio::task::consume_budget()).poll(cx) {
        used += 1;
        assert!(used <= BUDGET, "the budget has no end");
    }
}

// === Ten thousand in one poll ===

/// Polls all of them once, without a budget to do so.
async fn poll_all_at_once<F: Future + Unpin>(futures: &mut [F]) -> Vec<F::Output> {
    poll_fn(|cx| {
        exhaust_the_budget(cx);
        let polled = futures.iter_mut().map(|future| future.poll_unpin(cx));
        let ready = |poll| match poll {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        };
        Poll::Ready(polled.filter_map(ready).collect())
    })
    .await
}

#[track_caller]
fn assert_refused_and_queued(bulkhead: &Bulkhead, refused: u64, queued: u32) {
    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (snapshot.rejected_calls, snapshot.queued_calls),
        (refused, queued)
    );
}

/// A service whose calls end when the semaphore has something for each of them, and which are part of tokio's budget.
fn waits_for(
    end: &Arc<Semaphore>,
) -> impl Service<(), Response = (), Error = Infallible, Future: Send> + Clone + use<> {
    let end = Arc::clone(end);
    service_fn(move |()| {
        let end = Arc::clone(&end);
        async move {
            end.acquire().await.unwrap().forget();
            Ok(())
        }
    })
}

// proves: A-7
#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_in_one_poll_all_get_in_while_there_is_room() {
    let (bulkhead, end) = (bulkhead(10_000, 200), Arc::new(Semaphore::new(0)));
    let service = (bulkhead.layer(), WidenLayer).layer(waits_for(&end));
    let mut calls: Vec<_> = (0..CROWD)
        .map(|_| Box::pin(service.clone().oneshot(())))
        .collect();
    assert!(poll_all_at_once(&mut calls).await.is_empty());
    assert_eq!(bulkhead.snapshot().active_calls, 10_000);
    assert_refused_and_queued(&bulkhead, 0, 0);
    end.add_permits(CROWD);
    let calls: FuturesUnordered<_> = calls.into_iter().collect();
    assert_eq!(
        calls
            .filter(|result| std::future::ready(result.is_ok()))
            .count()
            .await,
        CROWD
    );
    assert_refused_and_queued(&bulkhead, 0, 0);
    assert_eq!(bulkhead.snapshot().success_count, 10_000);
}

// proves: A-7
#[tokio::test(start_paused = true)]
async fn ten_thousand_permits_in_one_poll_are_all_given_while_there_is_room() {
    let bulkhead = bulkhead(10_000, 200);
    let mut waiting: Vec<_> = (0..CROWD)
        .map(|_| bulkhead.acquire(Priority::Low))
        .collect();
    let permits = poll_all_at_once(&mut waiting).await;
    assert_eq!(permits.len(), CROWD);
    assert!(permits.iter().all(Result::is_ok));
    assert_eq!(bulkhead.snapshot().active_calls, 10_000);
    assert_refused_and_queued(&bulkhead, 0, 0);
}

/// Ten thousand over a hundred slots: in one poll, and then in one task.
// proves
#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_in_one_poll_all_wait_while_there_is_a_place() {
    let (bulkhead, end) = (bulkhead(100, 10_000), Arc::new(Semaphore::new(0)));
    let service = (bulkhead.layer(), WidenLayer).layer(waits_for(&end));
    let mut calls: Vec<_> = (0..CROWD)
        .map(|_| Box::pin(service.clone().oneshot(())))
        .collect();
    assert!(poll_all_at_once(&mut calls).await.is_empty());
    assert_refused_and_queued(&bulkhead, 0, 9_900);
    end.add_permits(CROWD);
    let mut calls: FuturesUnordered<_> = calls.into_iter().collect();
    while let Some(result) = calls.next().await {
        result.unwrap();
        assert!(bulkhead.snapshot().active_calls <= 100);
    }
    assert_refused_and_queued(&bulkhead, 0, 0);
    assert_eq!(bulkhead.snapshot().success_count, 10_000);
}

// proves: A-7
#[tokio::test(start_paused = true)]
async fn ten_thousand_permits_asked_for_in_one_task_are_all_given_in_turn() {
    let bulkhead = bulkhead(100, 10_000);
    let calls: FuturesUnordered<_> = (0..CROWD)
        .map(|_| async {
            let permit = bulkhead.acquire(Priority::Normal).await?;
            tokio::task::yield_now().await;
            drop(permit);
            Ok::<_, Rejected>(())
        })
        .collect();
    let given = calls.filter(|result| std::future::ready(result.is_ok()));
    assert_eq!(given.count().await, CROWD);
    assert_refused_and_queued(&bulkhead, 0, 0);
}

// === How often ===

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

/// Makes waits whose polls are counted.
struct Meter {
    bulkhead: Bulkhead,
    polls: Arc<AtomicU64>,
}

impl Meter {
    fn new(slots: u32) -> Self {
        let (bulkhead, polls) = (bulkhead(slots, 100_000), Arc::default());
        Self { bulkhead, polls }
    }

    fn acquire(
        &self,
        priority: Priority,
    ) -> Counted<impl Future<Output = Result<Permit, Rejected>> + use<>> {
        let (acquire, polls) = (self.bulkhead.acquire(priority), Arc::clone(&self.polls));
        let future = Box::pin(acquire);
        Counted { future, polls }
    }

    /// So many got in, all but the first few after a wait, and each was polled when it came and when it was its turn.
    #[track_caller]
    fn assert_polled_when_needed(&self, granted: u64, what: &str) {
        let snapshot = self.bulkhead.snapshot();
        let slots = u64::from(snapshot.max_concurrent);
        let polls = self.polls.load(Relaxed);
        println!("{what}: {polls} polls of {granted} calls over {slots} slots");
        assert_eq!(snapshot.success_count + snapshot.neutral_count, granted);
        assert!(
            snapshot.waits.count() >= granted - slots,
            "{what}: nobody waited"
        );
        assert!(
            polls <= 3 * granted,
            "{what}: {polls} polls of {granted} calls over {slots} slots"
        );
    }
}

// proves: A-6
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_is_polled_when_it_comes_and_when_it_is_its_turn() {
    for slots in [1, 8] {
        for service_time in [0, 1, 9, 25, 1_000].map(Duration::from_millis) {
            let (meter, callers) = (Meter::new(slots), 24);
            let mut calls = JoinSet::new();
            for n in 0..callers {
                let acquire = meter.acquire(Priority::ALL[n % 5]);
                calls.spawn(async move {
                    let permit = acquire.await.unwrap();
                    tokio::task::yield_now().await;
                    sleep(service_time).await;
                    drop(permit);
                });
            }
            calls.join_all().await;
            meter.assert_polled_when_needed(callers as u64, &format!("{service_time:?}"));
        }
    }
}

/// The same with two polls at most: nothing revokes, moves or ends a wait here.
// proves: A-6
#[tokio::test(start_paused = true)]
async fn nobody_is_polled_because_of_somebody_else() {
    let meter = Meter::new(1);
    let inside = meter.bulkhead.try_acquire().unwrap();
    let waiting: JoinSet<_> = (0..1000).map(|_| meter.acquire(Priority::Normal)).collect();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(meter.polls.load(Relaxed), 1000);
    // What others do is none of their business: a limit, a queue, a caller that leaves, one that is refused.
    meter.bulkhead.resize(2).unwrap();
    meter.bulkhead.resize(1).unwrap();
    let polls = meter.polls.load(Relaxed);
    meter.bulkhead.resize_queue(2000).unwrap();
    drop(
        Box::pin(meter.bulkhead.acquire(Priority::Critical))
            .as_mut()
            .now_or_never(),
    );
    assert!(meter.bulkhead.try_acquire().is_err());
    let _ = meter.bulkhead.snapshot();
    sleep(Duration::from_secs(5)).await;
    assert!(
        meter.polls.load(Relaxed) <= polls + 2,
        "{} after {polls}",
        meter.polls.load(Relaxed)
    );
    drop((inside, waiting));
}

/// Callers of one task share its budget: a timer that cannot be armed for lack of it costs one poll more, and no more.
// proves
#[tokio::test(start_paused = true)]
async fn callers_that_share_a_task_are_polled_once_more_at_most() {
    for callers in [100_u64, 1_000, 5_000] {
        let meter = Meter::new(8);
        let mut waiting: Vec<_> = (0..callers)
            .map(|_| meter.acquire(Priority::Normal))
            .collect();
        let permits = poll_all_at_once(&mut waiting).await;
        assert_eq!(permits.len(), 8);
        tokio::task::yield_now().await;
        let calls = waiting.into_iter().skip(8).map(|waiting| async {
            let permit = waiting.await.unwrap();
            sleep(Duration::from_millis(25)).await;
            drop(permit);
        });
        let calls: FuturesUnordered<_> = calls.collect();
        let leaving = async { drop(permits) };
        tokio::join!(calls.collect::<()>(), leaving);
        meter.assert_polled_when_needed(callers, "one task without a budget");
    }
}

/// Real threads, where grants, timers and polls race.
// proves: A-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_many_threads_a_call_is_polled_no_more_often() {
    for (slots, busy) in [(1, 0), (8, 0), (8, 200)] {
        let (meter, callers) = (Meter::new(slots), 2_000);
        let spin = Arc::new(AtomicU32::new(0));
        let mut calls = JoinSet::new();
        for _ in 0..callers {
            let (acquire, spin) = (meter.acquire(Priority::Normal), Arc::clone(&spin));
            calls.spawn(async move {
                let permit = acquire.await.unwrap();
                for _ in 0..busy {
                    spin.fetch_add(1, Relaxed);
                }
                tokio::task::yield_now().await;
                drop(permit);
            });
        }
        calls.join_all().await;
        let polls = meter.polls.load(Relaxed);
        println!("{slots} slots: {polls} polls of {callers} calls");
        assert!(
            polls <= 3 * callers,
            "{slots} slots: {polls} polls of {callers} calls"
        );
    }
}
