//! Calls that leave at every point: their place is free, and nobody is forgotten.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use buttress_core::Rejected;
use buttress_rate_limit::{Acquire, Permit, Rate, RateLimit};
use tokio::time::{Instant, advance, sleep};

const MILLI: Duration = Duration::from_millis(1);

fn paced() -> RateLimit {
    let limit = RateLimit::builder("left")
        .leaky_bucket(Rate::per_second(50))
        .build();
    drop(limit.try_acquire());
    limit
}

#[derive(Default)]
struct Counts(AtomicU32);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

struct Wait {
    acquire: Pin<Box<Acquire>>,
    woken: Arc<Counts>,
}

impl Wait {
    fn new(limit: &RateLimit) -> Self {
        Self {
            acquire: Box::pin(limit.acquire()),
            woken: Arc::default(),
        }
    }

    fn poll(&mut self) -> Poll<Result<Permit, Rejected>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.acquire.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> u32 {
        self.woken.0.load(SeqCst)
    }
}

async fn pass(time: Duration) {
    advance(time).await;
    // Lets the timers go off.
    sleep(Duration::ZERO).await;
    tokio::task::yield_now().await;
}

// proves: RL-4, A-1
#[tokio::test(start_paused = true)]
async fn each_of_five_may_leave_at_each_point_and_the_others_move_up() {
    for leaver in 0..5_usize {
        for after_wake_up in [false, true] {
            let limit = paced();
            let start = Instant::now();
            let mut waits: Vec<_> = (0..5).map(|_| Some(Wait::new(&limit))).collect();
            for wait in waits.iter_mut().flatten() {
                assert!(wait.poll().is_pending());
            }
            let mut outs = Vec::new();
            for round in 0..5_u32 {
                if !after_wake_up && round == 0 {
                    waits[leaver] = None;
                }
                pass(20 * MILLI).await;
                let first = waits.iter().position(Option::is_some);
                if after_wake_up && first == Some(leaver) {
                    assert_eq!(waits[leaver].as_ref().unwrap().woken(), 1);
                    waits[leaver] = None;
                }
                for (index, wait) in waits.iter_mut().enumerate() {
                    if wait.as_ref().is_some_and(|wait| wait.woken() > 0)
                        && wait.as_mut().unwrap().poll().is_ready()
                    {
                        outs.push((index, start.elapsed()));
                        *wait = None;
                    }
                }
            }
            let expected: Vec<_> = (0..5)
                .filter(|&index| index != leaver)
                .zip(1..)
                .map(|(index, round)| (index, 20 * MILLI * round))
                .collect();
            assert_eq!(
                outs, expected,
                "{leaver} left, after its wake-up: {after_wake_up}"
            );
            assert_eq!(limit.snapshot().waiting, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_before_the_first_poll() {
    let limit = paced();
    let unpolled = limit.acquire();
    assert_eq!(limit.snapshot().waiting, 0);
    drop(unpolled);
    drop(limit.acquire().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_polled_after_its_end_says_nothing_more() {
    let limit = paced();
    let mut wait = Wait::new(&limit);
    assert!(wait.poll().is_pending());
    pass(20 * MILLI).await;
    assert!(matches!(wait.poll(), Poll::Ready(Ok(_))));
    assert!(wait.poll().is_pending());
    assert_eq!(limit.snapshot().admitted_count, 2);
}

#[tokio::test(start_paused = true)]
async fn only_the_last_waker_is_woken() {
    let limit = paced();
    let mut wait = Wait::new(&limit);
    assert!(wait.poll().is_pending());
    let first = std::mem::take(&mut wait.woken);
    assert!(wait.poll().is_pending());
    assert_eq!(Arc::strong_count(&first), 1, "the old waker is gone");
    pass(20 * MILLI).await;
    assert_eq!((first.0.load(SeqCst), wait.woken()), (0, 1));
}

// proves: A-6
#[tokio::test(start_paused = true)]
async fn who_waits_long_is_not_polled_for_it() {
    let limit = RateLimit::builder("slow")
        .leaky_bucket(Rate::per_minute(2))
        .max_wait(Duration::MAX)
        .build();
    drop(limit.try_acquire());
    let mut waits: Vec<_> = (0..5).map(|_| Wait::new(&limit)).collect();
    for wait in &mut waits {
        assert!(wait.poll().is_pending());
    }
    for _ in 0..29 {
        pass(1000 * MILLI).await;
        assert!(waits.iter().all(|wait| wait.woken() == 0));
    }
    pass(1000 * MILLI).await;
    assert_eq!(
        waits.iter().map(Wait::woken).collect::<Vec<_>>(),
        [1, 0, 0, 0, 0]
    );
}

// proves: A-11
#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_that_come_and_go_leave_nothing_behind() {
    let limit = paced();
    for _ in 0..10_000 {
        let mut wait = Wait::new(&limit);
        assert!(wait.poll().is_pending());
    }
    assert_eq!(limit.snapshot().waiting, 0);
    let start = Instant::now();
    poll_fn(|_| Poll::Ready(())).await;
    drop(limit.acquire().await.unwrap());
    assert_eq!(start.elapsed(), 20 * MILLI);
}
