//! Our own layers: defaults, a name, nobody listening, and [`WidenLayer`] below, because the inner error has no room for
//! refusals.

use std::sync::Arc;
use std::time::Duration;

use buttress_bulkhead::{Bulkhead, BulkheadBuilder, BulkheadLayer, RefusingBulkheadLayer};
use buttress_circuit_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, Window,
};
use buttress_core::{Error, WidenLayer};
use buttress_fallback::{FallbackChain, FallbackLayer};
use buttress_histogram::CensoredHistogram;
use buttress_rate_limit::{
    KeyedRateLimit, KeyedRateLimitLayer, Rate, RateLimit, RateLimitBuilder, RateLimitLayer,
};
use buttress_retry::{Backoff, Jitter, Retry, RetryBudget, RetryBudgetLayer, RetryBuilder};
use buttress_timeout::{AdaptiveTimeout, AdaptiveTimeoutLayer};

use super::{Base, Case, Hoard, OURS, bare};
use crate::inner::{Down, Inner};
use crate::keys::{MANY, caller_of};
use crate::subject::{
    Subject, answered_instead, clones, fiftieth_fails, first_attempt_fails, pending_once, queued,
    refused, refused_when_occupied, repeated, served,
};

const HEALTHY: &str = "breaker closed: count window, healthy";
const ONE_RETRY: &str = "retry: one, zero wait";
const FIXED: &str = "timeout fixed: ready";

pub(super) const CASES: &[Case] = &[
    Case::serving(OURS, "breaker closed: consecutive failures", |inner| {
        served(inner, built(breaker().consecutive_failures(5)))
    }),
    Case::serving(OURS, HEALTHY, |inner| {
        served(inner, built(over(count_window())))
    }),
    Case::special(OURS, "breaker closed: count window, failures in it", || {
        fiftieth_fails(built(over(count_window())))
    })
    .over(bare::FIFTIETH_FAILS),
    Case::serving(OURS, "breaker closed: time window", |inner| {
        served(inner, built(over(Window::time(Duration::from_secs(10)))))
    }),
    Case::serving(OURS, "breaker closed: slow-call detection on", |inner| {
        let slow = Duration::from_secs(1);
        served(
            inner,
            built(over(count_window()).slow_calls(slow, 0.5, count_window())),
        )
    })
    .over(Base {
        who: OURS,
        path: HEALTHY,
    }),
    Case::special(OURS, "breaker open: refuse", || {
        refused(built(breaker().consecutive_failures(5)))
    }),
    Case::special(OURS, "breaker: clone of the service", || {
        clones(built(breaker()))
    })
    .over(bare::CLONED),
    Case::serving(OURS, "bulkhead free", |inner| {
        served(inner, refusing(bulkhead(100)))
    }),
    Case::serving(OURS, "bulkhead free, with a queue", |inner| {
        served(inner, queueing(bulkhead(100)))
    }),
    Case::special(OURS, "bulkhead full: refuse", || {
        refused_when_occupied(refusing(bulkhead(1)))
    }),
    Case::special(OURS, "bulkhead full, a queue of 0: refuse", || {
        refused_when_occupied(queueing(bulkhead(1).queue(0)))
    }),
    Case::special(OURS, "bulkhead: queued call", || {
        queued(queueing(bulkhead(1)))
    })
    .over(bare::OVERLAP),
    Case::special(OURS, "bulkhead: clone of the service", || {
        clones(refusing(bulkhead(100)))
    })
    .over(bare::CLONED),
    Case::serving(OURS, "rate limit free", |inner| {
        served(inner, held_to(limit(FREE)))
    }),
    Case::special(OURS, "rate limit spent: refuse", || {
        refused(held_to(limit(SPENT)))
    }),
    // So short that a call takes the place of one that has left it, as in any window once it was full. For one thread: beside others
    // one that was stopped after it has read the clock would find it full.
    Case::special(OURS, "rate limit free: sliding window", || {
        let rate = Rate::new(1000, Duration::from_micros(20));
        let window = RateLimit::builder("bench").sliding_window(rate);
        served(Inner::Prompt, held_to(window))
    })
    .lasting(1500, 1000),
    // So long that hardly any call is the first of its slot.
    Case::serving(OURS, "rate limit free: bucketed window", |inner| {
        let rate = Rate::per_second(1_000_000_000);
        served(
            inner,
            held_to(RateLimit::builder("bench").bucketed_window(rate)),
        )
    }),
    Case::serving(OURS, "rate limit by key: 1 key", by_key::<1>),
    Case::serving(OURS, "rate limit by key: 1000 keys", by_key::<1000>),
    Case::serving(OURS, "rate limit by key: 1 M keys", by_key::<MANY>),
    Case::special(OURS, "rate limit by key: refuse", || {
        refused(keyed::<1000>(SPENT))
    }),
    Case::special(OURS, "rate limit: clone of the service", || {
        clones(held_to(limit(FREE)))
    })
    .over(bare::CLONED),
    Case::serving(OURS, "retry: none needed", |inner| {
        served(inner, retrying(retry()))
    }),
    Case::special(OURS, ONE_RETRY, || {
        first_attempt_fails(retrying(one_retry(Duration::ZERO)))
    })
    .over(bare::FALTERS),
    Case::serving(OURS, "retry: none needed, a sliding budget", |inner| {
        let budget = RetryBudget::sliding(0.1, Duration::from_secs(10));
        served(inner, retrying(retry().budget(&budget)))
    }),
    Case::special(OURS, "retry: clone of the service", || {
        clones(retrying(retry()))
    })
    .over(bare::CLONED),
    Case::serving(OURS, "fallback: unused", |inner| {
        served(inner, falling_back())
    }),
    Case::special(OURS, "fallback: used by value", || {
        answered_instead(falling_back())
    })
    .over(bare::FAILS),
    Case::special(OURS, "fallback: clone of the service", || {
        clones(falling_back())
    })
    .over(bare::CLONED),
    Case::serving(OURS, FIXED, |inner| served(inner, limited(fixed()))),
    Case::special(OURS, "timeout fixed: pending", || {
        pending_once(limited(fixed()))
    })
    .over(bare::WAITS),
    // It looks at what calls took ten times a second. Where valgrind is slow, so many calls lie between that it is next to
    // nothing for each, and the warm-up lasts until it has looked.
    Case::serving(OURS, "timeout adaptive: more than fixed", |inner| {
        served(inner, limited(AdaptiveTimeout::builder("bench").build()))
    })
    .lasting(50_000, 20_000)
    .over(Base {
        who: OURS,
        path: FIXED,
    }),
    Case::special(OURS, "timeout: clone of the service", || {
        clones(limited(fixed()))
    })
    .over(bare::CLONED),
    Case::special(OURS, "latency record", || {
        let calls = Arc::new(CensoredHistogram::new());
        repeated(bare::TOOK, move |took| calls.record(took))
    })
    .over(bare::TOLD),
];

pub(super) const HOARD: Hoard = Hoard {
    who: OURS,
    fill: || Box::new(known(FREE, MANY)),
};

fn breaker() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("bench")
}

fn over(window: Window) -> CircuitBreakerBuilder {
    breaker().failure_rate(0.5, window)
}

fn count_window() -> Window {
    Window::calls(100)
}

fn built(builder: CircuitBreakerBuilder) -> (CircuitBreakerLayer, WidenLayer) {
    (builder.build().layer(), WidenLayer)
}

fn bulkhead(max: u32) -> BulkheadBuilder {
    Bulkhead::builder("bench").max_concurrent(max)
}

fn refusing(builder: BulkheadBuilder) -> (RefusingBulkheadLayer, WidenLayer) {
    (builder.build().refusing_layer(), WidenLayer)
}

fn queueing(builder: BulkheadBuilder) -> (BulkheadLayer, WidenLayer) {
    (builder.build().layer(), WidenLayer)
}

/// Never spent, however fast calls come, and however long a thread is stopped after it has read the clock.
const FREE: Rate = Rate::per_second(1_000_000_000).burst(u32::MAX);
/// Spent by one call.
const SPENT: Rate = Rate::per_hour(1);

fn limit(rate: Rate) -> RateLimitBuilder {
    RateLimit::builder("bench").token_bucket(rate)
}

fn held_to(builder: RateLimitBuilder) -> (RateLimitLayer, WidenLayer) {
    (builder.build().layer(), WidenLayer)
}

fn by_key<const CALLERS: u64>(inner: Inner) -> Box<dyn Subject> {
    served(inner, keyed::<CALLERS>(FREE))
}

fn keyed<const CALLERS: u64>(
    rate: Rate,
) -> (
    KeyedRateLimitLayer<u64, impl Fn(&u64) -> Option<u64> + Clone + Send + 'static>,
    WidenLayer,
) {
    let caller = |request: &u64| Some(caller_of(*request, CALLERS));
    (known(rate, CALLERS).by(caller), WidenLayer)
}

/// Limits of which each was asked once.
fn known(rate: Rate, callers: u64) -> KeyedRateLimit<u64> {
    // By one seed, so that figures repeat.
    let keyed = limit(rate).keyed().max_keys(2_000_000).hash_seed(1);
    let limits = keyed.build();
    for caller in 0..callers {
        assert!(
            limits.try_acquire(&caller).is_ok(),
            "it is asked for the first time"
        );
    }
    limits
}

fn retry() -> RetryBuilder {
    Retry::builder("bench")
}

/// Retries after a wait, within a budget that is never spent as long as retries succeed.
fn one_retry(wait: Duration) -> RetryBuilder {
    let budget = RetryBudget::builder("bench").refund_successful_retries();
    retry()
        .budget(&budget.build())
        .backoff(Backoff::constant(wait).jitter(Jitter::None))
}

fn retrying(builder: RetryBuilder) -> (RetryBudgetLayer, WidenLayer) {
    (builder.build().layer(), WidenLayer)
}

fn falling_back() -> (FallbackLayer<u64, u64, Error<Down>>, WidenLayer) {
    let chain = FallbackChain::builder("bench").default_value(7).build();
    (chain.layer(), WidenLayer)
}

fn fixed() -> AdaptiveTimeout {
    AdaptiveTimeout::fixed(Duration::from_secs(30))
}

fn limited(timeout: AdaptiveTimeout) -> (AdaptiveTimeoutLayer, WidenLayer) {
    (timeout.layer(), WidenLayer)
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    /// Where a timer that is armed panics.
    fn without_timers(wait: Duration) {
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut subject = first_attempt_fails(retrying(one_retry(wait)));
        runtime.block_on(subject.run(10));
    }

    #[test]
    fn a_zero_wait_arms_no_timer() {
        without_timers(Duration::ZERO);
    }

    #[test]
    #[should_panic(expected = "timers are disabled")]
    fn any_other_wait_arms_one() {
        without_timers(Duration::from_millis(1));
    }
}
