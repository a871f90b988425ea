use std::time::Duration;

use buttress_core::{Deadline, Error, Reason};
use buttress_rate_limit::{Rate, RateLimit, RateLimitBuilder};
use tokio::time::Instant;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_ok};

use crate::support::{advance, ms, secs, throttled};

fn leaky() -> RateLimitBuilder {
    RateLimit::builder("paced").leaky_bucket(Rate::per_second(50))
}

#[tokio::test(start_paused = true)]
async fn a_leaky_bucket_admits_its_queue_refuses_the_next_and_leaks() {
    let limit = leaky().build();
    drop(limit.try_acquire().unwrap());
    let places: Vec<_> = (0..500).map(|_| limit.reserve(1).unwrap()).collect();
    assert_eq!(limit.snapshot().waiting, 500);
    let wait = throttled(limit.reserve(1).unwrap_err()).unwrap();
    assert_eq!(wait, ms(20 * 501), "its turn would have come then");
    let started = Instant::now();
    for (n, place) in (1..).zip(places) {
        place.await.map(drop).unwrap();
        assert_eq!(started.elapsed().as_millis(), 20 * n);
    }
    assert_eq!(limit.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn calls_come_out_at_even_distances_in_the_order_of_arrival() {
    let limit = leaky().build();
    let started = Instant::now();
    let calls: Vec<_> = (0..100)
        .map(|n| {
            let limit = limit.clone();
            tokio::spawn(async move {
                limit.acquire().await.map(drop).unwrap();
                (n, started.elapsed())
            })
        })
        .collect();
    for call in calls {
        let (n, after) = call.await.unwrap();
        // tokio's timers go off within the next millisecond.
        let due = ms(20) * n;
        assert!(after >= due && after <= due + ms(20), "{n}: {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_before_somebody_who_waits() {
    let limit = RateLimit::builder("test")
        .token_bucket(Rate::per_second(1).burst(1))
        .build();
    drop(limit.try_acquire().unwrap());
    let mut waiting = spawn(limit.acquire());
    assert_pending!(waiting.poll());
    let wait = throttled(limit.try_acquire().unwrap_err());
    assert_eq!(wait, Some(secs(2)));
    advance(secs(1)).await;
    assert!(limit.try_acquire().is_err());
    assert!(waiting.is_woken());
    drop(assert_ready_ok!(waiting.poll()));
    advance(secs(1)).await;
    assert!(limit.try_acquire().is_ok());
}

// proves: RL-4
#[tokio::test(start_paused = true)]
async fn who_leaves_gives_the_place_to_those_behind() {
    let limit = leaky().queue(3).build();
    drop(limit.try_acquire().unwrap());
    let first = limit.reserve(1).unwrap();
    let second = limit.reserve(1).unwrap();
    let third = limit.reserve(1).unwrap();
    assert_eq!(third.expected_wait(), Some(ms(60)));
    assert!(limit.reserve(1).is_err());
    drop(first);
    drop(second);
    let started = Instant::now();
    third.await.map(drop).unwrap();
    assert_eq!(started.elapsed(), ms(20));
    assert_eq!(limit.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_turn_after_the_longest_wait_or_the_deadline_is_refused_at_once() {
    let limit = leaky().max_wait(ms(50)).build();
    drop(limit.try_acquire().unwrap());
    let _places = [limit.reserve(1).unwrap(), limit.reserve(1).unwrap()];
    let started = Instant::now();
    assert!(throttled(limit.acquire().await.unwrap_err()).is_some());
    let deadline = Deadline::after(Instant::now(), ms(30));
    let rejected = limit.acquire().before(deadline).await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::DeadlineExceeded);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn with_no_time_to_wait_nobody_waits() {
    for builder in [leaky().max_wait(Duration::ZERO), leaky().queue(0)] {
        let limit = builder.build();
        limit.acquire().await.map(drop).unwrap();
        assert!(throttled(limit.acquire().await.unwrap_err()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_at_a_window_too() {
    let limit = RateLimit::builder("window")
        .sliding_window(Rate::per_second(2))
        .build();
    let started = Instant::now();
    for _ in 0..6 {
        limit.acquire().await.map(drop).unwrap();
    }
    assert_eq!(started.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_higher_rate_shortens_the_wait() {
    let limit = RateLimit::builder("test")
        .token_bucket(Rate::per_hour(1).burst(1))
        .max_wait(secs(7200))
        .build();
    drop(limit.try_acquire().unwrap());
    let mut waiting = spawn(limit.acquire());
    assert_pending!(waiting.poll());
    limit.set_rate(Rate::per_second(1).burst(1)).unwrap();
    advance(ms(1001)).await;
    assert!(waiting.is_woken());
    drop(assert_ready_ok!(waiting.poll()));
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_goes_to_who_waits() {
    let limit = RateLimit::builder("test")
        .token_bucket(Rate::per_hour(1).burst(1))
        .max_wait(secs(7200))
        .build();
    let permit = limit.try_acquire().unwrap();
    let mut waiting = spawn(limit.acquire());
    assert_pending!(waiting.poll());
    permit.give_back();
    assert!(waiting.is_woken());
    drop(assert_ready_ok!(waiting.poll()));
}

// proves: A-18
#[tokio::test(start_paused = true)]
async fn closing_refuses_all_that_wait() {
    let limit = leaky().build();
    drop(limit.try_acquire().unwrap());
    let mut waiting: Vec<_> = (0..5).map(|_| spawn(limit.acquire())).collect();
    for call in &mut waiting {
        assert_pending!(call.poll());
    }
    limit.close();
    for call in &mut waiting {
        assert!(call.is_woken());
        let rejected = tokio_test::assert_ready_err!(call.poll());
        assert_eq!(rejected.reason(), Reason::Unavailable);
    }
}

#[tokio::test(start_paused = true)]
async fn run_in_turn_waits_and_run_refuses() {
    let limit = leaky().build();
    let work = || async { Ok::<_, std::io::Error>(7) };
    assert_eq!(limit.run(work()).await.unwrap(), 7);
    assert!(matches!(limit.run(work()).await, Err(Error::Rejected(_))));
    assert_eq!(limit.run_in_turn(work()).await.unwrap(), 7);
}
