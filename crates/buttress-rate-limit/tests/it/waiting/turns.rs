//! Calls that wait for their turn: when each comes out, who is refused, and what it costs.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use buttress_core::{Deadline, Reason};
use buttress_rate_limit::{Rate, RateLimit};
use buttress_sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

const MILLI: Duration = Duration::from_millis(1);

fn paced() -> RateLimit {
    let limit = RateLimit::builder("paced")
        .leaky_bucket(Rate::per_second(50))
        .build();
    drop(limit.try_acquire());
    limit
}

/// Lets so many calls wait, in this order, and tells when each came out, and how often it was polled.
async fn outs(limit: &RateLimit, calls: u32) -> Vec<(u32, Duration, u32)> {
    let start = Instant::now();
    let outs: Arc<Mutex<Vec<_>>> = Arc::default();
    let mut tasks = JoinSet::new();
    for call in 0..calls {
        let (limit, outs) = (limit.clone(), Arc::clone(&outs));
        tasks.spawn(async move {
            let (mut acquire, mut polls) = (pin!(limit.acquire()), 0);
            let turn = poll_fn(|cx| {
                polls += 1;
                acquire.as_mut().poll(cx)
            });
            drop(turn.await.unwrap());
            outs.lock().push((call, start.elapsed(), polls));
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    std::mem::take(&mut outs.lock())
}

// proves: A-6
#[tokio::test(start_paused = true)]
async fn calls_come_out_one_by_one_in_their_order_and_are_polled_twice() {
    let outs = outs(&paced(), 100).await;
    for (index, (call, at, polls)) in (0..).zip(outs) {
        assert_eq!((call, at), (index, 20 * MILLI * (index + 1)));
        assert_eq!(polls, 2, "of {call}");
    }
}

// proves: A-6
#[tokio::test(start_paused = true)]
async fn a_burst_that_comes_back_is_handed_on_from_one_to_the_next() {
    let limit = RateLimit::builder("burst")
        .token_bucket(Rate::per_second(10).burst(10))
        .build();
    drop(limit.try_acquire_many(10));
    let (waiting, changed) = (limit.clone(), limit.clone());
    let outs = tokio::spawn(async move { outs(&waiting, 20).await });
    tokio::task::yield_now().await;
    changed.set_rate(Rate::new(20, MILLI).burst(20)).unwrap();
    let outs = outs.await.unwrap();
    assert!(outs.is_sorted());
    let last = outs.last().unwrap();
    assert!(last.1 <= 2 * MILLI, "{outs:?}");
    assert!(outs.iter().all(|out| out.2 <= 3), "{outs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_turn_comes_too_late_is_refused_at_once_with_the_time_to_come_back() {
    let limit = RateLimit::builder("short")
        .leaky_bucket(Rate::per_second(50))
        .max_wait(60 * MILLI)
        .build();
    drop(limit.try_acquire());
    let places: Vec<_> = (0..3).map(|_| limit.reserve(1).unwrap()).collect();
    let refused = limit.acquire().await.unwrap_err();
    assert_eq!(
        (refused.reason(), refused.retry_after()),
        (Reason::Throttled, Some(80 * MILLI))
    );
    assert_eq!(limit.snapshot().waiting, 3);
    drop(places);
    let start = Instant::now();
    drop(limit.acquire().await.unwrap());
    assert_eq!(start.elapsed(), 20 * MILLI);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_refuses_at_once_what_cannot_keep_it() {
    let limit = paced();
    let start = Instant::now();
    let until = |wait| limit.acquire().before(Deadline::at(start + wait));
    assert_eq!(
        until(Duration::ZERO).await.unwrap_err().reason(),
        Reason::DeadlineExceeded
    );
    assert_eq!(
        until(20 * MILLI).await.unwrap_err().reason(),
        Reason::DeadlineExceeded
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(until(21 * MILLI).await.unwrap());
    assert_eq!(start.elapsed(), 20 * MILLI);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses() {
    let limit = RateLimit::builder("small")
        .leaky_bucket(Rate::per_second(50))
        .queue(2)
        .build();
    drop(limit.try_acquire());
    let places = [limit.reserve(1).unwrap(), limit.reserve(1).unwrap()];
    let refused = limit.acquire().await.unwrap_err();
    assert_eq!(
        (refused.reason(), refused.retry_after()),
        (Reason::Throttled, Some(60 * MILLI))
    );
    drop(places);
    drop(limit.acquire().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_never_fits_is_refused_without_a_time_to_come_back() {
    let limit = paced();
    let refused = limit.acquire_many(2).await.unwrap_err();
    assert_eq!(
        (refused.reason(), refused.retry_after()),
        (Reason::Throttled, None)
    );
    assert!(limit.reserve(2).is_err());
}

#[tokio::test(start_paused = true)]
async fn newcomers_never_overtake_those_who_wait() {
    let limit = paced();
    let place = limit.reserve(1).unwrap();
    advance(25 * MILLI).await;
    let refused = limit.try_acquire().unwrap_err();
    assert_eq!(
        (refused.reason(), refused.retry_after()),
        (Reason::Throttled, Some(20 * MILLI))
    );
    drop(place.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_place_has_a_known_wait_and_takes_nothing_yet() {
    let limit = paced();
    assert_eq!(limit.acquire().expected_wait(), None);
    let first = limit.reserve(1).unwrap();
    let second = limit.reserve(1).unwrap();
    assert_eq!(first.expected_wait(), Some(20 * MILLI));
    assert_eq!(second.expected_wait(), Some(40 * MILLI));
    assert_eq!(limit.snapshot().admitted_count, 1);
    sleep(15 * MILLI).await;
    assert_eq!(second.expected_wait(), Some(25 * MILLI));
    drop(first);
    let start = Instant::now();
    drop(second.await.unwrap());
    assert_eq!(start.elapsed(), 5 * MILLI);
    assert_eq!(limit.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn who_comes_for_its_place_when_it_was_told_to_finds_its_units() {
    let limit = paced();
    let start = Instant::now();
    let places: Vec<_> = (0..5).map(|_| limit.reserve(1).unwrap()).collect();
    for (index, place) in (1..).zip(places) {
        sleep(place.expected_wait().unwrap()).await;
        drop(place.await.unwrap());
        assert_eq!(start.elapsed(), 20 * MILLI * index);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reserved_place_obeys_a_deadline_that_is_said_later() {
    let limit = paced();
    let start = Instant::now();
    let (first, second) = (limit.reserve(1).unwrap(), limit.reserve(1).unwrap());
    let second = second.before(Deadline::at(start + 30 * MILLI));
    assert_eq!(limit.snapshot().waiting, 1, "it left at once");
    assert_eq!(second.await.unwrap_err().reason(), Reason::DeadlineExceeded);
    let first = first.before(Deadline::at(start + 30 * MILLI));
    sleep(30 * MILLI).await;
    assert_eq!(first.await.unwrap_err().reason(), Reason::DeadlineExceeded);
    assert_eq!(limit.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_said_later_ends_the_wait_in_time() {
    let limit = paced();
    let start = Instant::now();
    let first = limit.reserve(1).unwrap();
    let second = limit
        .reserve(1)
        .unwrap()
        .before(Deadline::at(start + 50 * MILLI));
    limit.set_rate(Rate::per_second(10)).unwrap();
    assert_eq!(second.await.unwrap_err().reason(), Reason::DeadlineExceeded);
    assert_eq!(start.elapsed(), 50 * MILLI);
    drop(first.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_rate_is_felt_by_those_who_wait() {
    for (rate, expected) in [(1000, 1), (5, 200)] {
        let limit = paced();
        let waiting = limit.clone();
        let start = Instant::now();
        let task = tokio::spawn(async move { waiting.acquire().await.map(|_| start.elapsed()) });
        tokio::task::yield_now().await;
        limit.set_rate(Rate::per_second(rate)).unwrap();
        assert_eq!(task.await.unwrap().unwrap(), expected * MILLI);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_a_slower_rate_makes_too_long_ends_at_once() {
    let limit = RateLimit::builder("slower")
        .leaky_bucket(Rate::per_second(50))
        .max_wait(100 * MILLI)
        .build();
    drop(limit.try_acquire());
    let waiting = limit.clone();
    let task = tokio::spawn(async move { waiting.acquire().await.unwrap_err() });
    tokio::task::yield_now().await;
    let start = Instant::now();
    limit.set_rate(Rate::per_second(1)).unwrap();
    assert_eq!(task.await.unwrap().reason(), Reason::Throttled);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

// proves: A-18
#[tokio::test(start_paused = true)]
async fn closing_refuses_all_that_wait_within_one_poll() {
    let told = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&told);
    let limit = RateLimit::builder("closed")
        .leaky_bucket(Rate::per_second(50))
        .observer(move |_: &_| _ = counted.fetch_add(1, SeqCst))
        .build();
    drop(limit.try_acquire());
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let limit = limit.clone();
        tasks.spawn(async move { limit.acquire().await.unwrap_err() });
    }
    tokio::task::yield_now().await;
    let start = Instant::now();
    limit.close();
    assert_eq!(limit.snapshot().waiting, 0);
    while let Some(rejected) = tasks.join_next().await {
        assert_eq!(rejected.unwrap().reason(), Reason::Unavailable);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(told.load(SeqCst), 11, "each once, and the close");
    assert_eq!(
        limit.acquire().await.unwrap_err().reason(),
        Reason::Unavailable
    );
    assert_eq!(
        limit.try_acquire().unwrap_err().reason(),
        Reason::Unavailable
    );
    assert!(limit.reserve(1).is_err());
    assert_eq!(limit.snapshot().refused_count, 13);
}

#[test]
#[should_panic(expected = "no reactor running")]
fn waiting_needs_a_runtime() {
    let limit = paced();
    let mut acquire = pin!(limit.acquire());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = acquire.as_mut().poll(&mut cx);
    }));
    assert_eq!(limit.snapshot().waiting, 0, "its place is free");
    std::panic::resume_unwind(left.unwrap_err());
}
