//! Calls that are polled late, in runtimes that are busy; and what they find then.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use buttress_bulkhead::{Acquire, Bulkhead, Permit};
use buttress_core::{Deadline, Error, Priority, Reason, Rejected, WidenLayer};
use buttress_sync::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, Sleep, advance, sleep, timeout};
use tower::{Service, ServiceBuilder, ServiceExt};

const MILLISECOND: Duration = Duration::from_millis(1);

fn bulkhead(max: u32) -> Bulkhead {
    let builder = Bulkhead::builder("late").max_concurrent(max);
    builder.queue(100).build()
}

type Waiting = Pin<Box<Acquire>>;

fn poll(waiting: &mut Waiting) -> Poll<Result<Permit, Rejected>> {
    let mut cx = Context::from_waker(Waker::noop());
    waiting.as_mut().poll(&mut cx)
}

fn waits(bulkhead: &Bulkhead) -> Waiting {
    let mut waiting = Box::pin(bulkhead.acquire(Priority::Normal));
    assert!(poll(&mut waiting).is_pending());
    waiting
}

/// The timer that watches over the grant of another may come late; a poll that comes before it does what it would.
// proves: A-5, PB-8
#[tokio::test(start_paused = true)]
async fn whoever_is_polled_takes_what_another_let_pass() {
    let bulkhead = bulkhead(1);
    let inside = bulkhead.try_acquire().unwrap();
    let _forgotten = waits(&bulkhead);
    let mut polled = waits(&bulkhead);
    drop(inside);
    assert!(poll(&mut polled).is_pending(), "not yet");
    advance(15 * MILLISECOND).await;
    let permit = poll(&mut polled);
    assert!(matches!(permit, Poll::Ready(Ok(_))));
    assert_eq!(bulkhead.snapshot().class(Priority::Normal).revoked_count, 1);
}

/// Tokio's timers go off up to a millisecond late: beside a ticker the call is often polled in between.
// proves: A-5
#[test]
fn a_call_beside_a_ticker_is_not_forgotten() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().build().unwrap();
    for _ in 0..20 {
        runtime.block_on(async {
            let bulkhead = bulkhead(1);
            let inside = bulkhead.try_acquire().unwrap();
            let _forgotten = waits(&bulkhead);
            let mut waiting = bulkhead.acquire(Priority::Normal);
            let mut ticks = tokio::time::interval(MILLISECOND);
            let served = async {
                let mut waiting = Pin::new(&mut waiting);
                loop {
                    tokio::select! {
                        _ = ticks.tick() => {}
                        permit = &mut waiting => return permit.is_ok(),
                    }
                }
            };
            drop(inside);
            // Without a ticker this takes some 10 ms.
            assert_eq!(timeout(5_000 * MILLISECOND, served).await, Ok(true));
        });
    }
}

/// Polls what is inside some time after each wake, as a runtime does that has much to do.
struct Late<F> {
    inner: Pin<Box<F>>,
    latency: Duration,
    due: Option<Pin<Box<Sleep>>>,
    bell: Arc<Bell>,
}

struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, SeqCst);
        let task = self.task.lock().clone();
        task.into_iter().for_each(Waker::wake);
    }
}

impl<F: Future> Late<F> {
    fn new(latency: Duration, inner: F) -> Self {
        Self {
            inner: Box::pin(inner),
            latency,
            due: None,
            bell: Arc::new(Bell {
                rung: AtomicBool::new(true),
                task: Mutex::default(),
            }),
        }
    }
}

impl<F: Future> Future for Late<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        *self.bell.task.lock() = Some(cx.waker().clone());
        loop {
            if let Some(due) = &mut self.due {
                if due.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.due = None;
                self.bell.rung.store(false, SeqCst);
                let waker = Waker::from(Arc::clone(&self.bell));
                let polled = self.inner.as_mut().poll(&mut Context::from_waker(&waker));
                if polled.is_ready() {
                    return polled;
                }
            }
            if !self.bell.rung.load(SeqCst) {
                return Poll::Pending;
            }
            self.due = Some(Box::pin(sleep(self.latency)));
        }
    }
}

/// Every grant is taken up later than it may be at first; that must not end with slots that nobody ever gets.
// proves: A-5
#[tokio::test(start_paused = true)]
async fn in_a_busy_runtime_grants_wait_longer_and_everybody_gets_in() {
    for latency in [12, 60, 300] {
        let bulkhead = bulkhead(1);
        let inside = bulkhead.try_acquire().unwrap();
        let calls = [(); 20].map(|()| {
            let bulkhead = bulkhead.clone();
            tokio::spawn(async move {
                let wait = bulkhead.acquire(Priority::Normal);
                let permit = Late::new(latency * MILLISECOND, wait).await.unwrap();
                sleep(MILLISECOND).await;
                drop(permit);
            })
        });
        sleep(2 * latency * MILLISECOND).await;
        drop(inside);
        let start = Instant::now();
        for call in calls {
            call.await.unwrap();
        }
        // Each takes the latency of its poll, and a few are asked in vain until the patience has grown.
        let most = 40 * (latency * MILLISECOND + MILLISECOND);
        assert!(start.elapsed() <= most, "{:?}", start.elapsed());
        let revoked = bulkhead.snapshot().class(Priority::Normal).revoked_count;
        assert!((1..=20).contains(&revoked), "{revoked} of 20");
    }
}

/// Of the calls that wait, the first in turn and the newest are in a runtime that is busy, like the one that has the grant.
// proves: A-5
#[test]
fn a_call_between_those_of_a_busy_runtime_is_served_within_a_second() {
    fn runtime() -> Runtime {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().build().unwrap()
    }
    let (bulkhead, busy, healthy) = (bulkhead(1), runtime(), runtime());
    let inside = bulkhead.try_acquire().unwrap();
    let waits_in = |runtime: &Runtime| {
        let _entered = runtime.enter();
        waits(&bulkhead)
    };
    let _granted_and_first = (waits_in(&busy), waits_in(&busy));
    let mut between = waits_in(&healthy);
    let _newest = waits_in(&busy);
    drop(inside);
    let served = healthy.block_on(async { timeout(10_000 * MILLISECOND, &mut between).await });
    assert!(served.unwrap().is_ok());
}

// === Deadlines and limits after the grant ===

// proves: PB-9
#[tokio::test(start_paused = true)]
async fn a_grant_that_is_taken_up_after_the_deadline_counts_as_expired() {
    for max_wait in [5, 1_000] {
        let builder = Bulkhead::builder("late").max_concurrent(1);
        let bulkhead = builder.max_wait(max_wait * MILLISECOND).build();
        let inside = bulkhead.try_acquire().unwrap();
        let deadline = Deadline::after(Instant::now(), 8 * MILLISECOND);
        let mut waiting = Box::pin(bulkhead.acquire(Priority::Normal).before(deadline));
        assert!(poll(&mut waiting).is_pending());
        advance(4 * MILLISECOND).await;
        drop(inside);
        advance(5 * MILLISECOND).await;
        let Poll::Ready(Err(rejected)) = poll(&mut waiting) else {
            panic!("it starts after its deadline");
        };
        assert_eq!(rejected.reason(), Reason::DeadlineExceeded);
        let snapshot = bulkhead.snapshot();
        let class = snapshot.class(Priority::Normal);
        assert_eq!((class.granted_count, class.expired_count), (0, 1));
        assert_eq!((snapshot.waits.count(), snapshot.active_calls), (0, 0));
    }
}

/// Ready once, and then never again.
#[derive(Clone)]
struct Gone {
    was_ready: bool,
}

impl Service<()> for Gone {
    type Response = ();
    type Error = Infallible;
    type Future = std::future::Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if std::mem::replace(&mut self.was_ready, true) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        std::future::ready(Ok(()))
    }
}

/// The readiness that follows the wait is part of it.
// proves: PB-2
#[tokio::test(start_paused = true)]
async fn a_service_that_is_ready_no_more_holds_no_slot_beyond_the_longest_wait() {
    let builder = Bulkhead::builder("late").max_concurrent(1);
    let bulkhead = builder.max_wait(100 * MILLISECOND).build();
    let inside = bulkhead.try_acquire().unwrap();
    let mut service = ServiceBuilder::new()
        .layer(bulkhead.layer())
        .layer(WidenLayer)
        .service(Gone { was_ready: false });
    let start = Instant::now();
    let call = tokio::spawn(service.ready().await.unwrap().call(()));
    sleep(10 * MILLISECOND).await;
    drop(inside);
    let Err(Error::Rejected(rejected)) = call.await.unwrap() else {
        panic!("nothing is ever ready");
    };
    assert_eq!(rejected.reason(), Reason::Overloaded);
    let late = start.elapsed() - 100 * MILLISECOND;
    assert!(late <= 2 * MILLISECOND, "{late:?} late");
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.rejected_calls), (0, 1));
}
