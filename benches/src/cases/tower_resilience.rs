//! tower-resilience: its breaker, its bulkhead, its retry, its rate limiter and its time limiter.

use std::time::Duration;

use tower_resilience_bulkhead::{BulkheadConfigBuilder, BulkheadLayer};
use tower_resilience_circuitbreaker::{
    CircuitBreakerConfigBuilder, CircuitBreakerLayer, DefaultClassifier, SlidingWindowType,
};
use tower_resilience_fallback::FallbackLayer;
use tower_resilience_ratelimiter::{RateLimiterConfigBuilder, RateLimiterLayer, WindowType};
use tower_resilience_retry::{RetryBudgetBuilder, RetryLayer};
use tower_resilience_timelimiter::TimeLimiterLayer;

use super::Case;
use super::bare::{FAILS, FALTERS, FIFTIETH_FAILS, OVERLAP, WAITS};
use crate::inner::{Down, Inner};
use crate::subject::{
    answered_instead, fiftieth_fails, first_attempt_fails, pending_once, queued, refused,
    refused_when_occupied, served,
};

const WHO: &str = if cfg!(feature = "peers-full") {
    "tower-resilience full"
} else {
    "tower-resilience"
};

pub(super) const CASES: &[Case] = &[
    Case::serving(WHO, "breaker closed: consecutive failures", |inner| {
        served(inner, built(breaker().consecutive_failures(5)))
    }),
    Case::serving(WHO, "breaker closed: count window, healthy", |inner| {
        served(inner, built(breaker()))
    }),
    Case::special(WHO, "breaker closed: count window, failures in it", || {
        fiftieth_fails(built(breaker()))
    })
    .over(FIFTIETH_FAILS),
    // Its price grows with the calls that the window holds: those that the longer run makes beyond the shorter find 1000
    // on average, 700 of the warm-up and 200 to 400 of their own run.
    Case::special(WHO, "breaker closed: time window", || {
        served(Inner::Prompt, built(time_window()))
    })
    .lasting(700, 200)
    .growing(),
    Case::special(WHO, "breaker open: refuse", || {
        refused(built(breaker().consecutive_failures(5)))
    }),
    Case::serving(WHO, "bulkhead free", |inner| {
        served(inner, refusing(bulkhead(100)))
    }),
    Case::serving(WHO, "bulkhead free, with a queue", |inner| {
        served(inner, waiting(bulkhead(100)))
    }),
    // A refusal takes it a timer, so more than a millisecond.
    Case::special(WHO, "bulkhead full: refuse", || {
        refused_when_occupied(refusing(bulkhead(1)))
    })
    .lasting(50, 200),
    Case::special(WHO, "bulkhead: queued call", || {
        queued(waiting(bulkhead(1)))
    })
    .over(OVERLAP),
    Case::serving(WHO, "retry: none needed", |inner| served(inner, retry())),
    // No wait at all takes it a timer too.
    Case::special(
        WHO,
        "retry: one, zero wait",
        || first_attempt_fails(retry()),
    )
    .over(FALTERS)
    .lasting(50, 200),
    Case::serving(WHO, "rate limit free", |inner| {
        served(inner, limiter(bucket(1_000_000_000, 4_000_000_000)))
    }),
    Case::special(WHO, "rate limit spent: refuse", || {
        let spent = window(WindowType::Fixed, 1, Duration::from_secs(3600));
        // By default it lets a call wait for 100 ms before it refuses it.
        refused(limiter(spent.timeout_duration(Duration::ZERO)))
    }),
    Case::special(WHO, "rate limit free: sliding window", || {
        let log = window(WindowType::SlidingLog, 1000, Duration::from_micros(20));
        served(Inner::Prompt, limiter(log))
    })
    .lasting(1500, 1000),
    // Of two buckets, so the limit is kept about, not in any window.
    Case::serving(WHO, "rate limit free: bucketed window", |inner| {
        let second = Duration::from_secs(1);
        served(
            inner,
            limiter(window(WindowType::SlidingCounter, 1_000_000_000, second)),
        )
    }),
    Case::serving(WHO, "fallback: unused", |inner| {
        served(inner, FallbackLayer::<u64, u64, Down>::value(7))
    }),
    Case::special(WHO, "fallback: used by value", || {
        answered_instead(FallbackLayer::<u64, u64, Down>::value(7))
    })
    .over(FAILS),
    Case::serving(WHO, "timeout fixed: ready", |inner| {
        served(inner, time_limiter())
    }),
    Case::special(WHO, "timeout fixed: pending", || {
        pending_once(time_limiter())
    })
    .over(WAITS),
];

type Builder = CircuitBreakerConfigBuilder<DefaultClassifier>;

fn breaker() -> Builder {
    CircuitBreakerLayer::builder()
        .name("bench")
        .wait_duration_in_open(Duration::from_secs(60))
}

fn time_window() -> Builder {
    breaker()
        .sliding_window_type(SlidingWindowType::TimeBased)
        .sliding_window_duration(Duration::from_secs(60))
        .minimum_number_of_calls(20)
}

fn built(builder: Builder) -> CircuitBreakerLayer<DefaultClassifier> {
    builder.build().expect("the configuration is valid")
}

fn bulkhead(max: usize) -> BulkheadConfigBuilder {
    BulkheadLayer::builder()
        .name("bench")
        .max_concurrent_calls(max)
}

fn refusing(builder: BulkheadConfigBuilder) -> BulkheadLayer {
    let built = builder.reject_when_full().build();
    built.expect("the configuration is valid")
}

fn waiting(builder: BulkheadConfigBuilder) -> BulkheadLayer {
    let built = builder.max_wait_duration(Duration::from_secs(30)).build();
    built.expect("the configuration is valid")
}

/// A success brings as much as a retry takes, so that the budget lasts though every call is retried.
fn retry() -> RetryLayer<u64, u64, Down> {
    let budget = RetryBudgetBuilder::new().token_bucket().build();
    RetryLayer::builder()
        .name("bench")
        .fixed_backoff(Duration::ZERO)
        .budget(budget.expect("the configuration is valid"))
        .build()
}

fn rate_limiter() -> RateLimiterConfigBuilder {
    RateLimiterLayer::builder().name("bench")
}

fn bucket(rate: usize, burst: usize) -> RateLimiterConfigBuilder {
    rate_limiter()
        .limit_for_period(rate)
        .refresh_period(Duration::from_secs(1))
        .burst_size(burst)
}

fn window(kind: WindowType, calls: usize, per: Duration) -> RateLimiterConfigBuilder {
    rate_limiter()
        .window_type(kind)
        .limit_for_period(calls)
        .refresh_period(per)
}

fn limiter(builder: RateLimiterConfigBuilder) -> RateLimiterLayer {
    builder.build().expect("the configuration is valid")
}

fn time_limiter() -> TimeLimiterLayer {
    TimeLimiterLayer::builder()
        .name("bench")
        .timeout_duration(Duration::from_secs(30))
        .build()
}
