//! What is refused, in which words, and that defaults are what the docs say.

use std::time::Duration;

use buttress_circuit_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, Window,
};

use crate::{SECOND, exact, failures_to_open};

fn refusal(builder: CircuitBreakerBuilder) -> String {
    builder
        .try_build()
        .expect_err("this makes no sense")
        .to_string()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn a_setting_that_makes_no_sense_gets_one_clear_sentence() {
    let window = Window::default;
    for (builder, words) in [
        (
            exact().failure_rate(0.0, window()),
            "`failure_rate` must be above 0 and at most 1, not 0",
        ),
        (
            exact().failure_rate(f64::NAN, window()),
            "`failure_rate` must be above 0 and at most 1, not NaN",
        ),
        (
            exact().failure_rate(1.5, window()),
            "`failure_rate` must be above 0 and at most 1, not 1.5",
        ),
        (
            exact().slow_calls(SECOND, -1.0, window()),
            "`slow_calls` must be above 0 and at most 1, not -1",
        ),
        (
            exact().failure_rate(0.5, Window::calls(0)),
            "`window` must be 1..=10000 calls",
        ),
        (
            exact().failure_rate(0.5, Window::calls(10_001)),
            "`window` must be 1..=10000 calls",
        ),
        (
            exact().failure_rate(0.5, Window::time(Duration::ZERO)),
            "`window` must be 1µs to 3600s long",
        ),
        (
            exact().failure_rate(0.5, Window::time(Duration::MAX)),
            "`window` must be 1µs to 3600s long",
        ),
        (
            exact()
                .failure_rate(0.5, Window::calls(9))
                .slow_calls(SECOND, 0.5, Window::calls(8)),
            "`window` is given twice, with 9 and 8",
        ),
        (
            exact()
                .failure_rate(0.5, Window::calls(10))
                .minimum_calls(11),
            "`minimum_calls` is more than the window's 10: it would never be judged",
        ),
        (
            exact().consecutive_failures(0),
            "`consecutive_failures` must be above 0",
        ),
        (
            exact().minimum_calls(0),
            "`minimum_calls` must be in 1..=1000000",
        ),
        (
            exact().successes_to_close(0),
            "`successes_to_close` must be above 0",
        ),
        (exact().probes(0), "`probes` must be in 1..=1000"),
        (exact().probes(1001), "`probes` must be in 1..=1000"),
        (
            exact().probe_limit(Duration::ZERO),
            "`probe_limit` must be above 0: every probe would fail",
        ),
        (exact().jitter(1.1), "`jitter` must be in 0..=1, not 1.1"),
        (
            exact().jitter(f64::NAN),
            "`jitter` must be in 0..=1, not NaN",
        ),
        (exact().growth(0.5), "`growth` must be in 1..=100, not 0.5"),
        (
            exact().growth(f64::INFINITY),
            "`growth` must be in 1..=100, not inf",
        ),
        (
            CircuitBreaker::builder("Has Space"),
            "`name` may not contain 'H': use a-z 0-9 _ . -",
        ),
        (
            CircuitBreaker::builder(""),
            "`name` must have 1 to 64 bytes, not 0",
        ),
    ] {
        assert_eq!(refusal(builder), words);
    }
}

#[test]
#[should_panic(expected = "circuit breaker `inventory`: `probes` must be in 1..=1000")]
fn build_panics_with_the_same_words() {
    let _ = exact().probes(0).build();
}

#[test]
fn any_duration_is_safe() {
    for duration in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let limit = duration.max(Duration::from_nanos(1));
        let breaker = CircuitBreaker::builder("inventory")
            .open_for(duration)
            .max_open_for(duration)
            .probe_limit(limit)
            .ramp(duration)
            .retry_after(duration)
            .slow_calls(duration, 1.0, Window::default())
            .jitter(1.0)
            .growth(100.0)
            .build();
        for _ in 0..100 {
            failures_to_open_at_most(&breaker, 200);
        }
        let _ = breaker.snapshot();
    }
}

fn failures_to_open_at_most(breaker: &CircuitBreaker, most: usize) {
    use buttress_core::{Settle, Verdict};
    let admitted = std::iter::from_fn(|| breaker.try_acquire().ok()).take(most);
    admitted.for_each(|permit| permit.settle(Verdict::Failure));
}

#[test]
fn a_threshold_of_one_means_all_of_them() {
    let breaker = exact().failure_rate(1.0, Window::calls(20)).build();
    crate::succeed(&breaker);
    assert_eq!(
        failures_to_open(&breaker),
        20,
        "the success has to slide out"
    );
}

#[test]
fn a_window_below_twenty_calls_is_judged_when_it_is_full() {
    let breaker = exact().failure_rate(0.5, Window::calls(6)).build();
    assert_eq!(failures_to_open(&breaker), 6);
}

#[test]
fn the_short_forms_do_what_they_say() {
    assert_eq!(
        failures_to_open(CircuitBreakerLayer::consecutive(2).breaker()),
        2
    );
    assert_eq!(
        failures_to_open(CircuitBreakerLayer::failure_rate(0.5).breaker()),
        20
    );
}

#[test]
fn the_defaults_are_those_of_the_docs() {
    let defaults = format!("{:?}", CircuitBreaker::builder("inventory"));
    assert_eq!(
        defaults,
        "CircuitBreakerBuilder { name: \"inventory\", config: Config { consecutive: None, calls: None, time: None, \
         minimum_calls: None, slow_after: None, open_for: 60s, jitter: 0.2, growth: 1.0, max_open_for: 600s, \
         probes: 3, successes_to_close: 3, probe_limit: 30s, ramp: None, retry_after: 1s, \
         drops_as_failures: false, ignore_overload: false, count_throttled: false }, .. }"
    );
    assert_eq!(
        failures_to_open(&CircuitBreaker::builder("inventory").build()),
        5
    );
}
