//! Wakers that use the bulkhead while they are woken, and what is left of a call when its future is gone.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use buttress_bulkhead::{Acquire, Bulkhead, Event, Permit};
use buttress_core::{Deadline, Priority, Reason, Rejected};
use buttress_sync::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn still_time() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

fn bulkhead() -> Bulkhead {
    Bulkhead::builder("woken")
        .max_concurrent(1)
        .queue(10)
        .build()
}

/// Runs on a thread of its own, in a runtime whose time stands still, and must end.
fn without_deadlock(work: impl AsyncFnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _over = tell;
        still_time().block_on(work());
    });
    let over = told.recv_timeout(20 * SECOND);
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

    fn woken(&self) -> u32 {
        self.woken.load(SeqCst)
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

fn poll(waiting: &mut Waiting, meddler: &Arc<Meddler>) -> Poll<Result<Permit, Rejected>> {
    let waker = Waker::from(Arc::clone(meddler));
    waiting.as_mut().poll(&mut Context::from_waker(&waker))
}

/// A call that waits with this waker.
fn waits(bulkhead: &Bulkhead, priority: Priority, meddler: &Arc<Meddler>) -> Waiting {
    let mut waiting = Box::pin(bulkhead.acquire(priority));
    assert!(poll(&mut waiting, meddler).is_pending());
    waiting
}

#[track_caller]
fn assert_at_rest(bulkhead: &Bulkhead) {
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
}

// === Wakers that meddle ===

/// What a waker does with the bulkhead.
const DEEDS: [fn(&Bulkhead); 6] = [
    |bulkhead| drop(bulkhead.snapshot()),
    |bulkhead| drop(bulkhead.try_acquire()),
    |bulkhead| {
        let mut acquire = Box::pin(bulkhead.acquire(Priority::Critical));
        let _ = acquire
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
    },
    |bulkhead| bulkhead.resize(bulkhead.snapshot().max_concurrent).unwrap(),
    |bulkhead| bulkhead.resize_queue(10).unwrap(),
    |bulkhead| bulkhead.close(),
];

/// How those who wait are woken; gives back the permit if that is not it.
const WAYS: [fn(&Bulkhead, Permit) -> Option<Permit>; 4] = [
    |_, inside| {
        drop(inside);
        None
    },
    |_, inside| Some(inside),
    |bulkhead, inside| {
        bulkhead.resize_queue(0).unwrap();
        bulkhead.resize_queue(10).unwrap();
        Some(inside)
    },
    |bulkhead, inside| {
        bulkhead.close();
        Some(inside)
    },
];

/// Wakes calls in every way there is: granted, passed over, expired, displaced, turned out at the end.
async fn wake_in_every_way(bulkhead: &Bulkhead, deed: fn(&Bulkhead)) {
    let meddler = {
        let bulkhead = bulkhead.clone();
        move || {
            let bulkhead = bulkhead.clone();
            Meddler::new(move || deed(&bulkhead))
        }
    };
    for way in WAYS {
        let Ok(inside) = bulkhead.try_acquire() else {
            return assert!(bulkhead.snapshot().closed);
        };
        let meddlers = [(); 3].map(|()| meddler());
        let mut waiting: Vec<_> = (meddlers.iter())
            .map(|meddler| waits(bulkhead, Priority::Normal, meddler))
            .collect();
        // Another waker instead: the first is dropped inside of the poll.
        let last = meddler();
        assert!(poll(&mut waiting[2], &last).is_pending());
        let inside = way(bulkhead, inside);
        sleep(40 * SECOND).await;
        for (meddler, waiting) in meddlers.iter().zip(&mut waiting) {
            let _ = poll(waiting, meddler);
        }
        assert!(meddlers[0].woken() > 0);
        drop((waiting, meddlers, last, inside));
        assert_at_rest(bulkhead);
    }
}

// proves: A-13
#[test]
fn a_waker_may_use_the_bulkhead_however_it_is_woken_or_dropped() {
    for deed in DEEDS {
        without_deadlock(async move || wake_in_every_way(&bulkhead(), deed).await);
    }
}

/// Where a waker finds what it is to drop, or to poll.
type Shelf<T> = Arc<Mutex<Option<T>>>;

// proves: A-13, PB-8, A-1
#[test]
fn a_waker_may_drop_the_call_that_it_wakes() {
    without_deadlock(async || {
        let bulkhead = bulkhead();
        let inside = bulkhead.try_acquire().unwrap();
        let mut meddlers = Vec::new();
        for _ in 0..10 {
            let shelf = Shelf::<Waiting>::default();
            let its_own = Arc::clone(&shelf);
            let meddler = Meddler::new(move || drop(its_own.lock().take()));
            let waiting = waits(&bulkhead, Priority::Normal, &meddler);
            *shelf.lock() = Some(waiting);
            meddlers.push(meddler);
        }
        // Each is granted the slot, and gives it to the next by being dropped.
        drop(inside);
        assert!(meddlers.iter().all(|meddler| meddler.woken() == 1));
        assert_at_rest(&bulkhead);
        assert!(bulkhead.try_acquire().is_ok());
    });
}

// proves: A-13, PB-8, A-1
#[test]
fn a_waker_may_drop_the_calls_of_others() {
    without_deadlock(async || {
        let bulkhead = bulkhead();
        let inside = bulkhead.try_acquire().unwrap();
        let others = Arc::<Mutex<Vec<Waiting>>>::default();
        let all = Arc::clone(&others);
        let meddler = Meddler::new(move || {
            let all = std::mem::take(&mut *all.lock());
            drop(all);
        });
        let mut first = waits(&bulkhead, Priority::High, &meddler);
        for _ in 0..5 {
            let other = waits(&bulkhead, Priority::Normal, &meddler);
            others.lock().push(other);
        }
        drop(inside);
        assert_eq!((meddler.woken(), bulkhead.snapshot().queued_calls), (1, 0));
        assert!(poll(&mut first, &meddler).is_ready());
        assert_at_rest(&bulkhead);
    });
}

// proves: A-13, PB-4
#[test]
fn a_waker_may_poll_the_call_that_it_wakes() {
    without_deadlock(async || {
        let bulkhead = bulkhead();
        let inside = bulkhead.try_acquire().unwrap();
        let order = Arc::<Mutex<Vec<usize>>>::default();
        for n in 0..10 {
            let shelf = Shelf::<Waiting>::default();
            let meddler = {
                let (shelf, order) = (Arc::clone(&shelf), Arc::clone(&order));
                Meddler::new(move || {
                    let its_own = shelf.lock().take();
                    let polled = its_own.map(|mut waiting| {
                        waiting
                            .as_mut()
                            .poll(&mut Context::from_waker(Waker::noop()))
                    });
                    if let Some(Poll::Ready(Ok(permit))) = polled {
                        order.lock().push(n);
                        // The next is woken inside of this wake.
                        drop(permit);
                    }
                })
            };
            *shelf.lock() = Some(waits(&bulkhead, Priority::Normal, &meddler));
        }
        drop(inside);
        assert_eq!(*order.lock(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_at_rest(&bulkhead);
    });
}

// === What is left of a call ===

/// A bulkhead, and a witness of its life: nothing but what the handles share holds it.
fn witnessed() -> (Bulkhead, Arc<()>) {
    let witness = Arc::new(());
    let held = Arc::clone(&witness);
    let builder = Bulkhead::builder("witnessed").max_concurrent(1).queue(2);
    let observer = move |_: &Event| {
        let _ = &held;
    };
    (builder.max_wait(SECOND).observer(observer).build(), witness)
}

/// Brings a call to some point of its life, where it is dropped; gives what else is to be dropped before nothing may be left.
type Stage = fn(&Bulkhead, &mut Waiting, &Arc<Meddler>, Permit) -> Vec<Permit>;

const STAGES: [Stage; 4] = [
    // Waits.
    |_, _, _, inside| vec![inside],
    // Was granted a slot.
    |_, _, _, inside| {
        drop(inside);
        Vec::new()
    },
    // Was turned out.
    |bulkhead, _, _, inside| {
        bulkhead.resize_queue(0).unwrap();
        vec![inside]
    },
    // Is in.
    |_, waiting, meddler, inside| {
        drop(inside);
        vec![tokio_test::assert_ready_ok!(poll(waiting, meddler))]
    },
];

// proves: A-14
#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_no_timer_and_no_waker_behind() {
    for (number, stage) in STAGES.into_iter().enumerate() {
        for time in [Duration::ZERO, SECOND / 50, 2 * SECOND] {
            let (bulkhead, witness) = witnessed();
            let meddler = Meddler::new(|| {});
            let inside = bulkhead.try_acquire().unwrap();
            let mut waiting = waits(&bulkhead, Priority::Normal, &meddler);
            let held = stage(&bulkhead, &mut waiting, &meddler, inside);
            sleep(time).await;
            drop(waiting);
            assert_eq!(
                Arc::strong_count(&meddler),
                1,
                "stage {number} after {time:?}"
            );
            let woken = meddler.woken();
            drop(held);
            assert_at_rest(&bulkhead);
            drop(bulkhead);
            // A timer that is still there would hold what the handles share.
            assert_eq!(
                Arc::strong_count(&witness),
                1,
                "stage {number} after {time:?}"
            );
            sleep(60 * SECOND).await;
            assert_eq!(meddler.woken(), woken);
        }
    }
}

// proves: A-14
#[tokio::test(start_paused = true)]
async fn a_call_that_ended_leaves_no_timer_and_no_waker_behind_while_its_future_lives() {
    let (bulkhead, witness) = witnessed();
    let meddler = Meddler::new(|| {});
    let inside = bulkhead.try_acquire().unwrap();
    let mut first = waits(&bulkhead, Priority::Normal, &meddler);
    let mut second = waits(&bulkhead, Priority::Normal, &meddler);
    drop(inside);
    let permit = tokio_test::assert_ready_ok!(poll(&mut first, &meddler));
    sleep(2 * SECOND).await;
    let rejected = tokio_test::assert_ready_err!(poll(&mut second, &meddler));
    assert_eq!(rejected.reason(), Reason::Overloaded);
    assert_eq!(Arc::strong_count(&meddler), 1);
    drop(permit);
    assert_at_rest(&bulkhead);
    drop((first, second, bulkhead));
    assert_eq!(Arc::strong_count(&witness), 1);
}

/// A future that was never polled has left nothing anywhere, and one that never had to wait made no timer.
// proves: A-14
#[test]
fn without_a_wait_there_is_no_timer_and_no_runtime_is_needed() {
    let (bulkhead, witness) = witnessed();
    drop(bulkhead.acquire(Priority::Normal));
    let deadline = Deadline::after(Instant::now(), SECOND);
    let mut acquire = Box::pin(bulkhead.acquire(Priority::Normal).before(deadline));
    let polled = poll(&mut acquire, &Meddler::new(|| {}));
    assert!(matches!(polled, Poll::Ready(Ok(_))));
    drop((acquire, polled, bulkhead));
    assert_eq!(Arc::strong_count(&witness), 1);
}
