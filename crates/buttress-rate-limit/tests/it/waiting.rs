mod futurelock;
mod hammer;
mod layered;
mod leaving;
mod turns;
mod wakers;

use std::time::Duration;

use buttress_core::Error;
use buttress_rate_limit::{Rate, RateLimit, RateLimitBuilder};
use tokio::time::Instant;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_ok};

use crate::support::{ms, secs, throttled};

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

#[tokio::test(start_paused = true)]
async fn run_in_turn_waits_and_run_refuses() {
    let limit = leaky().build();
    let work = || async { Ok::<_, std::io::Error>(7) };
    assert_eq!(limit.run(work()).await.unwrap(), 7);
    assert!(matches!(limit.run(work()).await, Err(Error::Rejected(_))));
    assert_eq!(limit.run_in_turn(work()).await.unwrap(), 7);
}

/// A timer of a millisecond's step would otherwise cost half of the rate here.
#[tokio::test(start_paused = true)]
async fn a_fast_leaky_bucket_keeps_its_rate_though_timers_are_late() {
    let limit = RateLimit::builder("fast")
        .leaky_bucket(Rate::per_second(1500))
        .queue(10_000)
        .build();
    let places: Vec<_> = (0..1500).map(|_| limit.reserve(1).unwrap()).collect();
    let started = Instant::now();
    for place in places {
        place.await.map(drop).unwrap();
    }
    let took = started.elapsed();
    assert!(took >= ms(997) && took <= ms(1003), "{took:?}");
}
