//! A handle that outlives the runtime in which calls waited, and calls of several runtimes in one queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use buttress_bulkhead::{Acquire, Bulkhead, Permit};
use buttress_core::{Priority, Reason, Rejected};
use buttress_sync::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Never reached, unless somebody is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

fn bulkhead() -> Bulkhead {
    let builder = Bulkhead::builder("shared").max_concurrent(1).queue(100);
    builder.max_wait(3600 * SECOND).build()
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().build().unwrap()
}

fn still_time() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

type Waiting = Pin<Box<Acquire>>;

fn poll(waiting: &mut Waiting) -> Poll<Result<Permit, Rejected>> {
    let mut cx = Context::from_waker(Waker::noop());
    waiting.as_mut().poll(&mut cx)
}

/// A call that waits, as it is after its first poll; its timer belongs to the runtime that is entered.
fn waits(bulkhead: &Bulkhead, priority: Priority) -> Waiting {
    let mut waiting = Box::pin(bulkhead.acquire(priority));
    assert!(poll(&mut waiting).is_pending());
    waiting
}

#[track_caller]
fn assert_at_rest(bulkhead: &Bulkhead) {
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
}

// === One after the other ===

// proves: A-1, PB-8
#[test]
fn a_runtime_that_ends_takes_its_calls_out_of_the_queue_and_out_of_the_slots() {
    let bulkhead = bulkhead();
    for inside in [0, 1] {
        let first = still_time();
        // One task holds the slot, or nobody of this runtime does; others wait, and one of them was granted the slot.
        let outside = (inside == 0).then(|| bulkhead.try_acquire().unwrap());
        for _ in 0..10 {
            let handle = bulkhead.clone();
            first.spawn(async move {
                let _permit = handle.acquire(Priority::Normal).await;
                std::future::pending::<()>().await;
            });
        }
        first.block_on(async { sleep(SECOND).await });
        assert_eq!(bulkhead.snapshot().queued_calls, 10 - inside);
        drop(outside);
        drop(first);
        assert_at_rest(&bulkhead);

        still_time().block_on(async {
            let permit = bulkhead.acquire(Priority::Low).await.unwrap();
            let next = tokio::spawn(bulkhead.acquire(Priority::Low));
            sleep(SECOND).await;
            assert_eq!(bulkhead.snapshot().queued_calls, 1);
            drop(permit);
            drop(next.await.unwrap().unwrap());
        });
        assert_at_rest(&bulkhead);
    }
}

/// Its timer is gone with the runtime; it can be dropped, and a grant that it got is taken up.
// proves: A-1, PB-8
#[test]
fn a_call_that_outlives_its_runtime_is_served_and_can_leave() {
    let bulkhead = bulkhead();
    let inside = bulkhead.try_acquire().unwrap();
    let first = still_time();
    let (mut granted, leaves) = {
        let _time = first.enter();
        (
            waits(&bulkhead, Priority::High),
            waits(&bulkhead, Priority::High),
        )
    };
    drop(first);
    still_time().block_on(async {
        let next = tokio::spawn(bulkhead.acquire(Priority::Normal));
        sleep(SECOND).await;
        drop(inside);
        let permit = tokio_test::assert_ready_ok!(poll(&mut granted));
        drop(leaves);
        drop(permit);
        drop(timeout(SECOND, next).await.unwrap().unwrap().unwrap());
    });
    assert_at_rest(&bulkhead);
}

/// The timer of the grant is gone with the runtime.
// proves: A-5, PB-8
#[test]
fn a_slot_granted_to_a_call_that_outlived_its_runtime_and_is_not_polled_passes_on() {
    let bulkhead = bulkhead();
    let inside = bulkhead.try_acquire().unwrap();
    let first = still_time();
    let forgotten = {
        let _time = first.enter();
        waits(&bulkhead, Priority::High)
    };
    drop(first);
    still_time().block_on(async {
        let next = tokio::spawn(bulkhead.acquire(Priority::Normal));
        sleep(SECOND).await;
        drop(inside);
        let next = timeout(SECOND, next).await;
        assert!(next.is_ok(), "stuck: {:?}", bulkhead.snapshot());
    });
    drop(forgotten);
    assert_at_rest(&bulkhead);
}

// === At the same time ===

/// Every runtime holds the slot for a moment, again and again, so that grants cross from one to the other all the time.
// proves
#[test]
fn grants_cross_from_one_runtime_to_another() {
    let (bulkhead, inside) = (bulkhead(), Arc::new(Mutex::new(0)));
    let threads = [(); 3].map(|()| {
        let (bulkhead, inside) = (bulkhead.clone(), Arc::clone(&inside));
        thread::spawn(move || {
            let calls = async move |_| {
                for _ in 0..200 {
                    let permit = timeout(PATIENCE, bulkhead.acquire(Priority::Normal)).await;
                    *inside.lock() += 1;
                    assert_eq!(*inside.lock(), 1);
                    tokio::task::yield_now().await;
                    *inside.lock() -= 1;
                    drop(permit.unwrap().unwrap());
                }
            };
            runtime().block_on(async { tokio::join!(calls(1), calls(2), calls(3)) });
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_at_rest(&bulkhead);
    let snapshot = bulkhead.snapshot();
    assert_eq!(snapshot.neutral_count, 1800);
    assert!(snapshot.waits.count() > 18, "{snapshot:?}");
}

/// Lets so many calls wait in a runtime that nobody drives, and then one in a runtime that somebody does, and frees the slot. Says
/// whether the last got it, and how things stand if not.
fn passes_by_the_busy(calls: usize) -> Result<(), String> {
    let bulkhead = bulkhead();
    let inside = bulkhead.try_acquire().unwrap();
    let busy = runtime();
    let theirs: Vec<_> = {
        let _time = busy.enter();
        (0..calls)
            .map(|_| waits(&bulkhead, Priority::High))
            .collect()
    };
    let (tell, told) = mpsc::channel();
    let handle = bulkhead.clone();
    let other = thread::spawn(move || {
        runtime().block_on(async {
            let mut waiting = Box::pin(handle.acquire(Priority::Normal));
            let mut told_of_it = false;
            let waiting = std::future::poll_fn(move |cx| {
                let polled = waiting.as_mut().poll(cx);
                if !std::mem::replace(&mut told_of_it, true) {
                    tell.send(()).unwrap();
                }
                polled
            });
            timeout(PATIENCE / 10, waiting).await.is_ok()
        })
    });
    told.recv().unwrap();
    drop(inside);
    let served = other.join().unwrap();
    let stuck = format!("stuck for two seconds: {:?}", bulkhead.snapshot());
    drop((theirs, busy));
    assert_at_rest(&bulkhead);
    served.then_some(()).ok_or(stuck)
}

/// A thread that is busy drives no timers, and so none of those that belong to its calls: the slot that one of them was granted
/// must pass on all the same, since somebody waits elsewhere.
// proves: A-5, PB-8
#[test]
fn a_slot_granted_in_a_runtime_that_is_busy_passes_on_to_another() {
    passes_by_the_busy(1).unwrap();
}

/// The next in turn is no help when it waits in the same place.
// proves: A-5, PB-8
#[test]
fn a_slot_passes_by_several_calls_of_a_runtime_that_is_busy() {
    passes_by_the_busy(3).unwrap();
}

/// A future may be polled in another runtime than the one in which it was polled first, while that lives.
// proves: PB-2, A-5
#[test]
fn a_call_that_moves_to_another_runtime_is_served_there_or_ends_its_wait() {
    let bulkhead = Bulkhead::builder("moving")
        .max_concurrent(1)
        .max_wait(SECOND / 10)
        .build();
    let inside = bulkhead.try_acquire().unwrap();
    // A thread drives the first until the end.
    let first = runtime();
    let handle = first.handle().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let driving = thread::spawn(move || first.block_on(stopped));
    let (expires, served) = {
        let _time = handle.enter();
        (
            waits(&bulkhead, Priority::Low),
            waits(&bulkhead, Priority::High),
        )
    };
    runtime().block_on(async {
        let served = tokio::spawn(served);
        tokio::task::yield_now().await;
        drop(inside);
        let permit = timeout(PATIENCE, served).await.unwrap().unwrap().unwrap();
        let rejected = timeout(PATIENCE, expires).await.unwrap().unwrap_err();
        assert_eq!(rejected.reason(), Reason::Overloaded);
        drop(permit);
    });
    assert_at_rest(&bulkhead);
    stop.send(()).unwrap();
    driving.join().unwrap().unwrap();
}
