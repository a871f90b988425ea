//! Waits that nobody polls, whose runtime is busy or gone: they are in nobody's way.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use buttress_core::Deadline;
use buttress_rate_limit::{Acquire, Rate, RateLimit};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

const MILLI: Duration = Duration::from_millis(1);

fn paced() -> RateLimit {
    let limit = RateLimit::builder("locked")
        .leaky_bucket(Rate::per_second(50))
        .build();
    drop(limit.try_acquire());
    limit
}

/// Polls a wait once, and then nevermore.
async fn polled_once(limit: &RateLimit) -> Pin<Box<Acquire>> {
    let mut acquire = Box::pin(limit.acquire());
    poll_fn(|cx| {
        assert!(acquire.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    acquire
}

// proves: A-5
#[tokio::test(start_paused = true)]
async fn one_that_is_not_polled_costs_those_behind_it_ten_milliseconds_once() {
    let limit = paced();
    let start = Instant::now();
    let locked = polled_once(&limit).await;
    // Of the ten, two count as a late timer.
    for out in [30, 48, 68] {
        drop(limit.acquire().await.unwrap());
        assert_eq!(start.elapsed(), out * MILLI);
    }
    drop(locked.await.unwrap());
    assert_eq!(start.elapsed(), 88 * MILLI, "it kept its place");
}

// proves: A-5
#[tokio::test(start_paused = true)]
async fn however_many_are_not_polled_each_costs_ten_milliseconds_once() {
    let limit = paced();
    let mut locked = Vec::new();
    for _ in 0..50 {
        locked.push(polled_once(&limit).await);
    }
    let start = Instant::now();
    drop(limit.acquire().await.unwrap());
    assert_eq!(start.elapsed(), 20 * MILLI + 50 * 10 * MILLI);
    assert_eq!(limit.snapshot().waiting, 50);
    for (index, locked) in (1..).zip(locked) {
        drop(locked.await.unwrap());
        assert_eq!(start.elapsed(), 518 * MILLI + 20 * MILLI * index);
    }
}

// proves: A-5
#[tokio::test(start_paused = true)]
async fn one_that_waits_alone_and_is_not_polled_holds_nothing_back() {
    let limit = paced();
    let _locked = polled_once(&limit).await;
    sleep(20 * MILLI).await;
    assert!(limit.try_acquire().is_err(), "its turn");
    sleep(10 * MILLI).await;
    drop(limit.try_acquire().unwrap());
}

// proves: A-5
#[tokio::test(start_paused = true)]
async fn reserved_places_that_nobody_comes_for_hold_nobody_up_for_long() {
    let limit = paced();
    let places: Vec<_> = (0..10).map(|_| limit.reserve(1).unwrap()).collect();
    let start = Instant::now();
    drop(limit.acquire().await.unwrap());
    assert!(
        start.elapsed() <= 20 * MILLI + 10 * 10 * MILLI,
        "{:?}",
        start.elapsed()
    );
    drop(places);
    assert_eq!(limit.snapshot().waiting, 0);
}

/// The futurelock of Oxide's RFD 609: the branch of a `select!` that is not polled while the other branch's body waits for the same.
// proves: A-5
#[tokio::test(start_paused = true)]
async fn a_branch_of_a_select_does_not_lock_out_the_body_of_the_other() {
    let limit = paced();
    let start = Instant::now();
    let mut branch = pin!(limit.acquire());
    tokio::select! {
        _ = &mut branch => panic!("it has to wait"),
        () = sleep(MILLI) => drop(limit.acquire().await.unwrap()),
    };
    assert_eq!(start.elapsed(), 30 * MILLI);
    drop(branch.await.unwrap());
    assert_eq!(start.elapsed(), 48 * MILLI);
}

/// Wakes somebody who takes his time.
#[derive(Default)]
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Waits in a task whose polls come so long after their wake-ups; tells how often it was polled.
async fn late(limit: RateLimit, delay: Duration) -> u32 {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut acquire = pin!(limit.acquire());
    for polls in 1.. {
        if let Poll::Ready(result) = acquire.as_mut().poll(&mut Context::from_waker(&waker)) {
            drop(result.unwrap());
            return polls;
        }
        bell.0.notified().await;
        sleep(delay).await;
    }
    unreachable!("it would be polled for ever")
}

// proves
#[tokio::test(start_paused = true)]
async fn polls_that_always_come_late_do_not_pass_over_everybody() {
    let limit = paced();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        tasks.spawn(late(limit.clone(), 30 * MILLI));
    }
    let mut polls = 0;
    while let Some(task) = tasks.join_next().await {
        polls += task.unwrap();
    }
    let ideal = 100 * 50 * MILLI;
    assert!(
        start.elapsed() <= ideal + ideal / 20,
        "{:?}",
        start.elapsed()
    );
    assert!(polls <= 300, "{polls}");
}

fn still_time() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

// proves: A-5
#[test]
fn one_whose_runtime_is_gone_holds_nobody_up() {
    let runtime = still_time();
    runtime.block_on(async {
        let limit = paced();
        let waiting = limit.clone();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let other = still_time();
            let locked = other.block_on(polled_once(&waiting));
            drop(other);
            tell.send(locked).unwrap();
        });
        let locked = told.recv().unwrap();
        let start = Instant::now();
        drop(limit.acquire().await.unwrap());
        assert!(start.elapsed() <= 45 * MILLI, "{:?}", start.elapsed());
        drop(locked);
        assert_eq!(limit.snapshot().waiting, 0);
    });
}

/// The first waits in a runtime that does nothing now.
// proves: A-5
#[test]
fn one_whose_runtime_is_busy_holds_nobody_up() {
    let runtime = still_time();
    let other = still_time();
    runtime.block_on(async {
        let limit = paced();
        let waiting = limit.clone();
        let locked = std::thread::scope(|scope| {
            let wait = || other.block_on(polled_once(&waiting));
            scope.spawn(wait).join().unwrap()
        });
        let start = Instant::now();
        drop(limit.acquire().await.unwrap());
        assert!(start.elapsed() <= 45 * MILLI, "{:?}", start.elapsed());
        advance(MILLI).await;
        drop(locked);
    });
}

/// The second is to see to the first, and leaves its timer to the third when its own wait is over: the last is of no help.
// proves: A-5
#[test]
fn one_whose_wait_is_over_leaves_its_watch_to_another() {
    let runtime = still_time();
    let other = still_time();
    runtime.block_on(async {
        let limit = paced();
        let start = Instant::now();
        let _locked = polled_once(&limit).await;
        let mut second = Box::pin(limit.acquire().before(Deadline::at(start + 45 * MILLI)));
        assert!(
            poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        let mut third = pin!(limit.acquire());
        assert!(
            poll_fn(|cx| Poll::Ready(third.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        let waiting = limit.clone();
        let last = std::thread::scope(|scope| {
            let wait = || other.block_on(polled_once(&waiting));
            scope.spawn(wait).join().unwrap()
        });
        limit.set_rate(Rate::per_second(25)).unwrap();
        drop(third.await.unwrap());
        assert!(start.elapsed() <= 61 * MILLI, "{:?}", start.elapsed());
        drop((second, last));
    });
}
