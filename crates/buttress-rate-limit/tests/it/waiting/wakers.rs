//! Wakers that panic, or use the limit while they are woken or dropped.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use buttress_core::Rejected;
use buttress_rate_limit::{Acquire, Permit, Rate, RateLimit};
use buttress_sync::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

const MILLI: Duration = Duration::from_millis(1);

fn still_time() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

fn paced() -> RateLimit {
    let limit = RateLimit::builder("woken")
        .leaky_bucket(Rate::per_second(50))
        .queue(10)
        .build();
    drop(limit.try_acquire());
    limit
}

/// Runs on a thread of its own, in a runtime whose time stands still, and must end.
fn without_deadlock(work: impl AsyncFnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _over = tell;
        still_time().block_on(work());
    });
    let over = told.recv_timeout(Duration::from_secs(20));
    assert_eq!(over, Err(mpsc::RecvTimeoutError::Disconnected), "deadlock");
    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
}

/// Does something when it is woken, and again when it is dropped.
struct Meddler {
    deed: Box<dyn Fn() + Send + Sync>,
    woken: AtomicU32,
}

impl Meddler {
    fn new(deed: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            deed: Box::new(deed),
            woken: AtomicU32::new(0),
        })
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, SeqCst);
        (self.deed)();
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        (self.deed)();
    }
}

type Waiting = Pin<Box<Acquire>>;

fn poll(waiting: &mut Waiting, meddler: Arc<Meddler>) -> Poll<Result<Permit, Rejected>> {
    let waker = Waker::from(meddler);
    waiting.as_mut().poll(&mut Context::from_waker(&waker))
}

// proves: A-13
#[test]
fn a_waker_may_use_the_limit_whenever_it_is_woken_or_dropped() {
    without_deadlock(async || {
        let limit = paced();
        let own = limit.clone();
        let deed = move || {
            let _ = own.try_acquire();
            let _ = own.snapshot();
            drop(own.reserve(1));
            own.set_rate(Rate::per_second(50)).unwrap();
        };
        let deed = Arc::new(deed);
        let meddler = || {
            let deed = Arc::clone(&deed);
            Meddler::new(move || deed())
        };
        let mut waits: Vec<_> = (0..5).map(|_| Box::pin(limit.acquire())).collect();
        for wait in &mut waits {
            assert!(poll(wait, meddler()).is_pending());
            assert!(
                poll(wait, meddler()).is_pending(),
                "the first waker is dropped"
            );
        }
        sleep(20 * MILLI).await;
        assert!(poll(&mut waits[0], meddler()).is_ready());
        let _ = limit.acquire().await;
        drop(waits.remove(1));
        // Refused: what would have been its waker is dropped.
        let mut refused = Box::pin(limit.acquire_many(2));
        assert!(poll(&mut refused, meddler()).is_ready());
        limit.close();
        for wait in &mut waits {
            let _ = poll(wait, meddler());
        }
    });
}

// proves: A-13
#[test]
fn a_waker_may_drop_its_own_wait_and_others() {
    without_deadlock(async || {
        let limit = paced();
        let waits: Arc<Mutex<Vec<Waiting>>> = Arc::default();
        let all = Arc::clone(&waits);
        let meddler = Meddler::new(move || {
            let gone = std::mem::take(&mut *all.lock());
            drop(gone);
        });
        for _ in 0..3 {
            let mut wait = Box::pin(limit.acquire());
            assert!(poll(&mut wait, Arc::clone(&meddler)).is_pending());
            waits.lock().push(wait);
        }
        let start = Instant::now();
        drop(limit.acquire().await.unwrap());
        assert_eq!(start.elapsed(), 20 * MILLI);
        assert_eq!(limit.snapshot().waiting, 0);
        assert!(meddler.woken.load(SeqCst) > 0);
    });
}

// proves
#[test]
fn a_waker_that_panics_costs_nobody_a_place() {
    without_deadlock(async || {
        let limit = paced();
        let start = Instant::now();
        let alive = Arc::new(AtomicU32::new(1));
        let panics = Arc::clone(&alive);
        let meddler = Meddler::new(move || assert_eq!(panics.load(SeqCst), 0, "the waker's"));
        let mut first = Box::pin(limit.acquire());
        assert!(poll(&mut first, Arc::clone(&meddler)).is_pending());
        drop(limit.acquire().await.unwrap());
        assert_eq!(start.elapsed(), 30 * MILLI, "as if it had not come");
        assert_eq!(limit.snapshot().waiting, 1);
        sleep(20 * MILLI).await;
        assert!(poll(&mut first, Arc::clone(&meddler)).is_ready());
        let mut closed = Box::pin(limit.acquire());
        assert!(poll(&mut closed, Arc::clone(&meddler)).is_pending());
        limit.close();
        assert!(poll(&mut closed, Arc::clone(&meddler)).is_ready());
        alive.store(0, SeqCst);
    });
}

// proves: A-15
#[test]
fn an_observer_that_panics_costs_nobody_a_place() {
    without_deadlock(async || {
        let limit = RateLimit::builder("observed")
            .leaky_bucket(Rate::per_second(50))
            .max_wait(30 * MILLI)
            .observer(|_: &_| panic!("the observer's"))
            .build();
        drop(limit.try_acquire());
        let task = |limit: &RateLimit| {
            let limit = limit.clone();
            tokio::spawn(async move { limit.acquire().await.is_ok() })
        };
        let (first, second) = (task(&limit), task(&limit));
        assert!(first.await.unwrap());
        assert!(
            second.await.unwrap_err().is_panic(),
            "its turn comes too late"
        );
        assert_eq!(limit.snapshot().waiting, 0);
        let waits = task(&limit);
        tokio::task::yield_now().await;
        let rate = Rate::per_second(1);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| limit.set_rate(rate)));
        assert!(
            !waits.await.unwrap(),
            "told by another, it hears nothing of the panic"
        );
    });
}
