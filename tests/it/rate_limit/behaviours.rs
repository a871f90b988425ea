//! What each algorithm does, through the facade alone.

use std::time::Duration;

use buttress::rate_limit::RateLimitBuilder;
use buttress::{Rate, RateLimit, Reason};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

/// Takes units one by one until one is refused, and tells how many there were, and when the next one is there.
fn drained(limit: &RateLimit) -> (u32, Duration) {
    let mut taken = 0;
    loop {
        match limit.try_acquire() {
            Ok(_) => taken += 1,
            Err(rejected) => {
                assert_eq!(rejected.reason(), Reason::Throttled);
                assert_eq!(rejected.component(), limit.name());
                return (taken, rejected.retry_after().unwrap());
            }
        }
    }
}

fn named(name: &'static str) -> RateLimitBuilder {
    RateLimit::builder(name)
}

// proves: RL-1, RL-3
#[tokio::test(start_paused = true)]
async fn a_token_bucket_admits_its_capacity_refuses_the_next_and_refills_with_time() {
    let limit = named("bucket").build();
    assert_eq!(limit.snapshot().limit, 1000);
    assert_eq!(drained(&limit), (1000, SECOND / 100));
    for seconds in [1, 2, 5] {
        advance(seconds * SECOND).await;
        assert_eq!(drained(&limit), (100 * seconds, SECOND / 100));
    }
    advance(1000 * SECOND).await;
    assert_eq!(drained(&limit).0, 1000, "it holds no more");
    assert_eq!(limit.snapshot().admitted_count, 1000 + 800 + 1000);
    assert_eq!(limit.snapshot().refused_count, 5);
}

// proves: RL-1, RL-3
#[tokio::test(start_paused = true)]
async fn a_sliding_window_admits_its_limit_refuses_the_next_and_slides() {
    let rate = Rate::per_minute(1000);
    for (builder, slot) in [
        (named("window").sliding_window(rate), 1),
        (named("window").bucketed_window(rate), 16),
    ] {
        let limit = builder.build();
        // Half of them at the start, and half when half of the window is over.
        for _ in 0..500 {
            limit.try_acquire().map(drop).unwrap();
        }
        advance(30 * SECOND).await;
        assert_eq!(drained(&limit), (500, 30 * SECOND));
        advance(30 * SECOND).await;
        // In slots, what has left may be held by its slot, with one that has not.
        let (first, wait) = drained(&limit);
        assert!((501 - slot..=500).contains(&first), "{first} have left");
        assert_eq!(wait, 30 * SECOND);
        advance(30 * SECOND).await;
        let (second, _) = drained(&limit);
        let rest = 1000 - first;
        assert!(
            (rest + 1 - slot..=rest).contains(&second),
            "{second} have left"
        );
        advance(120 * SECOND).await;
        assert_eq!(drained(&limit).0, 1000);
    }
}

// proves: RL-1, RL-4
#[tokio::test(start_paused = true)]
async fn a_leaky_bucket_admits_its_queue_refuses_the_next_and_leaks() {
    let limit = named("shaper").leaky_bucket(Rate::per_second(50)).build();
    let interval = SECOND / 50;
    limit.try_acquire().map(drop).unwrap();
    let mut places: Vec<_> = (0..500).map(|_| limit.reserve(1).unwrap()).collect();
    assert_eq!(limit.snapshot().waiting, 500);
    let refused = limit.reserve(1).unwrap_err();
    assert_eq!(refused.reason(), Reason::Throttled);
    assert_eq!(refused.retry_after(), Some(501 * interval));
    assert!(limit.try_acquire().is_err(), "it goes before nobody");

    let started = Instant::now();
    for (n, place) in (1..=250).zip(places.drain(..250)) {
        place.await.map(drop).unwrap();
        assert_eq!(started.elapsed(), n * interval, "a constant outflow");
    }
    // Half of the queue has leaked, so there is room for as many.
    places.extend((0..250).map(|_| limit.reserve(1).unwrap()));
    assert!(limit.reserve(1).is_err());
    for (n, place) in (251..=750).zip(places) {
        place.await.map(drop).unwrap();
        assert_eq!(started.elapsed(), n * interval);
    }
    assert_eq!(limit.snapshot().waiting, 0);
}

/// The figures that a limit shows, by the names that the registry will use.
#[tokio::test(start_paused = true)]
async fn a_rate_limit_shows_what_it_did() {
    use buttress::Inspect;

    let limit = named("figures")
        .token_bucket(Rate::per_second(1).burst(3))
        .build();
    drained(&limit);
    assert_eq!(Inspect::name(&limit).as_str(), "figures");
    assert_eq!(limit.kind(), "rate_limiters");
    let facts = limit.facts();
    let count = |name| {
        let found = facts.iter().find(|(fact, _)| *fact == name);
        format!("{:?}", found.expect("such a fact").1)
    };
    assert_eq!(count("admitted_calls"), "Count(3)");
    assert_eq!(count("rejected_calls"), "Count(1)");
    assert_eq!(count("remaining"), "Count(0)");
    assert_eq!(count("waiting_calls"), "Count(0)");
}

#[test]
fn a_rate_reads_as_it_is_written() {
    for (text, rate) in [
        ("100/s burst 1000", Rate::per_second(100).burst(1000)),
        ("5/s", Rate::per_second(5)),
        ("1000/min", Rate::per_minute(1000)),
        ("20/h", Rate::per_hour(20)),
    ] {
        assert_eq!(text.parse(), Ok(rate));
        assert_eq!(rate.to_string(), text);
    }
    for text in ["", "5", "5/", "/s", "5/year", "-5/s", "5/s burst", "0/s"] {
        assert!(text.parse::<Rate>().is_err(), "{text:?}");
    }
    // What no limit can have is refused where one is built.
    let nothing = named("nothing").token_bucket(Rate::per_second(5).burst(0));
    assert!(nothing.try_build().is_err());
}
