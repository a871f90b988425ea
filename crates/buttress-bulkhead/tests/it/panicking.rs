//! Wakers that panic: whoever they belong to, nobody else is kept waiting, and no slot is lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use buttress_bulkhead::{Acquire, Bulkhead, Permit};
use buttress_core::{Priority, Reason, Rejected};
use tokio::time::{advance, sleep};

const MILLISECOND: Duration = Duration::from_millis(1);

struct Bomb(AtomicBool);

impl Bomb {
    fn waker() -> Waker {
        Waker::from(Arc::new(Self(AtomicBool::new(true))))
    }
}

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        assert!(!self.0.swap(false, SeqCst), "a waker's panic");
    }
}

fn bulkhead(max: u32) -> Bulkhead {
    let builder = Bulkhead::builder("panicking").max_concurrent(max);
    builder.queue(100).build()
}

fn poll(waiting: &mut Pin<Box<Acquire>>, waker: &Waker) -> Poll<Result<Permit, Rejected>> {
    waiting.as_mut().poll(&mut Context::from_waker(waker))
}

fn waits_with(bulkhead: &Bulkhead, waker: &Waker) -> Pin<Box<Acquire>> {
    let mut waiting = Box::pin(bulkhead.acquire(Priority::Normal));
    assert!(poll(&mut waiting, waker).is_pending());
    waiting
}

// proves
#[tokio::test(start_paused = true)]
async fn behind_a_waker_that_panics_the_others_get_their_slots() {
    let bulkhead = bulkhead(1);
    let inside = bulkhead.try_acquire().unwrap();
    let _first = waits_with(&bulkhead, &Bomb::waker());
    let rest = [(); 5].map(|()| {
        let bulkhead = bulkhead.clone();
        tokio::spawn(async move { bulkhead.acquire(Priority::Normal).await.is_ok() })
    });
    sleep(MILLISECOND).await;
    bulkhead.resize(10).unwrap();
    for call in rest {
        assert!(call.await.unwrap());
    }
    drop(inside);
}

// proves: A-18
#[tokio::test(start_paused = true)]
async fn behind_a_waker_that_panics_the_others_are_told_of_the_end() {
    let bulkhead = bulkhead(1);
    let _inside = bulkhead.try_acquire().unwrap();
    let _first = waits_with(&bulkhead, &Bomb::waker());
    let mut second = waits_with(&bulkhead, Waker::noop());
    bulkhead.close();
    let Poll::Ready(Err(rejected)) = poll(&mut second, Waker::noop()) else {
        panic!("closed, and it still waits");
    };
    assert_eq!(rejected.reason(), Reason::Unavailable);
    assert_eq!(bulkhead.snapshot().rejected_calls, 2);
}

/// Taking up a grant lets another watch over those that are left; its timer goes off at once, as it comes too late.
// proves: A-1
#[tokio::test(start_paused = true)]
async fn a_slot_that_was_taken_up_is_not_lost_with_a_waker_that_panics() {
    let bulkhead = bulkhead(2);
    let inside = [
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire().unwrap(),
    ];
    let mut first = waits_with(&bulkhead, Waker::noop());
    let second = waits_with(&bulkhead, Waker::noop());
    let third = waits_with(&bulkhead, &Bomb::waker());
    bulkhead.resize(4).unwrap();
    advance(15 * MILLISECOND).await;
    drop(poll(&mut first, Waker::noop()));
    drop((first, second, third, inside));
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
}
