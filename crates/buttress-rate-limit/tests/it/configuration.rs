use std::time::Duration;

use buttress_core::{Adopt, Condition, ConfigError, Inspect, Plain, Settle};
use buttress_rate_limit::{Algorithm, Rate, RateLimit, RateLimitBuilder, RateLimitLayer};

fn limit() -> RateLimitBuilder {
    RateLimit::builder("test")
}

#[tokio::test]
async fn the_defaults_are_those_of_the_documentation() {
    let snapshot = limit().build().snapshot();
    assert_eq!(snapshot.algorithm, Algorithm::TokenBucket);
    assert_eq!(snapshot.rate, Rate::per_second(100).burst(1000));
    assert_eq!(snapshot.limit, 1000);
}

#[tokio::test]
async fn what_makes_no_sense_gets_one_clear_error() {
    let year = Duration::from_secs(366 * 24 * 3600);
    let wrong: [(&str, RateLimitBuilder); 11] = [
        ("rate", limit().token_bucket(Rate::per_second(0))),
        ("rate", limit().token_bucket(Rate::new(1, Duration::ZERO))),
        ("rate", limit().token_bucket(Rate::new(1, Duration::MAX))),
        ("rate", limit().token_bucket(Rate::per_second(1).burst(0))),
        ("rate", limit().token_bucket(Rate::new(1, year).burst(2))),
        (
            "rate",
            limit().token_bucket(Rate::new(2, Duration::from_nanos(1))),
        ),
        ("rate", limit().sliding_window(Rate::per_second(1).burst(2))),
        ("rate", limit().sliding_window(Rate::per_second(10_001))),
        ("rate", limit().leaky_bucket(Rate::per_second(1).burst(2))),
        ("queue", limit().queue(100_001)),
        ("name", RateLimit::builder("No Name")),
    ];
    for (setting, builder) in wrong {
        let error = builder.try_build().unwrap_err();
        assert_eq!(error.setting(), setting, "{error}");
    }
    let keyed: Result<_, ConfigError> = limit()
        .leaky_bucket(Rate::per_second(1))
        .keyed()
        .try_build::<u64>();
    assert_eq!(keyed.unwrap_err().setting(), "rate");
    let keyed = limit().keyed().max_keys(0).try_build::<u64>();
    assert_eq!(keyed.unwrap_err().setting(), "max_keys");
}

#[tokio::test]
async fn everything_that_makes_sense_can_be_built_and_used() {
    let year = Duration::from_secs(366 * 24 * 3600);
    for builder in [
        limit().token_bucket(Rate::new(1, year)),
        limit().token_bucket(Rate::new(u32::MAX, year).burst(1_000_000)),
        limit().token_bucket(Rate::new(1, Duration::from_nanos(1)).burst(u32::MAX)),
        limit().sliding_window(Rate::new(10_000, year)),
        limit().bucketed_window(Rate::new(u32::MAX, year)),
        limit().bucketed_window(Rate::new(1, Duration::from_nanos(1))),
        limit()
            .leaky_bucket(Rate::new(1, year))
            .max_wait(Duration::MAX),
        limit().queue(100_000),
    ] {
        let limit = builder.build();
        let permit = limit.try_acquire().unwrap();
        let _ = limit.try_acquire_many(u32::MAX);
        let _ = limit.quota();
        permit.give_back();
    }
}

#[tokio::test]
#[should_panic(expected = "rate limit `test`: `rate` must be at least one, not 0/s")]
async fn build_panics_where_it_is_called() {
    let _ = limit().token_bucket(Rate::per_second(0)).build();
}

#[tokio::test]
async fn another_rate_must_make_sense_too() {
    let limit = RateLimitLayer::new(Rate::per_second(1)).limit().clone();
    assert!(limit.set_rate(Rate::per_second(0)).is_err());
    assert_eq!(limit.snapshot().rate, Rate::per_second(1));
}

fn line_of_two() -> RateLimit {
    let line = limit().leaky_bucket(Rate::per_second(1)).queue(2);
    line.build()
}

#[tokio::test]
async fn a_leaky_bucket_has_no_quota_to_tell_of() {
    let line = line_of_two();
    assert!(line.try_acquire().unwrap().quota().is_none());
    let mut sources = Vec::new();
    Adopt::<Plain>::quota_sources(&line.waiting_layer(), &mut sources);
    Adopt::<Plain>::quota_sources(&line.layer(), &mut sources);
    assert!(sources.is_empty());
    let limit = limit().build();
    assert!(limit.try_acquire().unwrap().quota().is_some());
    Adopt::<Plain>::quota_sources(&limit.waiting_layer(), &mut sources);
    assert_eq!(sources.len(), 1);
}

#[tokio::test]
async fn a_leaky_bucket_is_degraded_when_nobody_may_wait_as_long_as_it_would_take() {
    let short = limit().leaky_bucket(Rate::per_second(1));
    let short = short.max_wait(Duration::from_secs(2)).build();
    drop(short.try_acquire());
    let first = short.reserve(1).unwrap();
    assert_eq!(short.condition(), Condition::Up);
    let _second = short.reserve(1).unwrap();
    assert_eq!(short.condition(), Condition::Degraded);
    drop(first);
    assert_eq!(short.condition(), Condition::Up);
}

#[tokio::test]
async fn a_registry_can_look_at_it() {
    let limit = limit().token_bucket(Rate::per_second(1)).build();
    assert_eq!(Inspect::name(&limit).as_str(), "test");
    assert_eq!(limit.kind(), "rate_limiters");
    assert_eq!(limit.condition(), Condition::Up);
    drop(limit.try_acquire());
    assert_eq!(limit.condition(), Condition::Degraded);
    limit.close();
    assert_eq!(limit.condition(), Condition::Down);
    let line = line_of_two();
    assert_eq!(line.condition(), Condition::Up);
    drop(line.try_acquire());
    assert_eq!(line.condition(), Condition::Up, "a call may wait");
    let places = [line.reserve(1), line.reserve(1)];
    assert_eq!(line.condition(), Condition::Degraded, "none may");
    drop(places);
    assert_eq!(line.condition(), Condition::Up);
    assert!(
        limit
            .facts()
            .iter()
            .any(|(name, _)| *name == "rejected_calls")
    );
}
