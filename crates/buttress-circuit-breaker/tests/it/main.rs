//! The breaker through its public face, on paused time.
#![expect(clippy::disallowed_methods, reason = "tests spawn tasks of their own")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail a test"
)]

mod behaviour;
mod configuration;
mod events;
mod faults;
mod keyed;
mod probes;
mod service;

use std::time::Duration;

use buttress_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder};
use buttress_core::{Settle, Verdict};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A breaker without jitter, so that times are exact.
pub(crate) fn exact() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("inventory").jitter(0.0)
}

pub(crate) fn succeed(breaker: &CircuitBreaker) {
    breaker
        .try_acquire()
        .expect("admitted")
        .settle(Verdict::Success);
}

pub(crate) fn fail(breaker: &CircuitBreaker) {
    breaker
        .try_acquire()
        .expect("admitted")
        .settle(Verdict::Failure);
}

/// How many failures in a row it takes to open, counted by failing until a call is refused.
pub(crate) fn failures_to_open(breaker: &CircuitBreaker) -> usize {
    let admitted = std::iter::from_fn(|| breaker.try_acquire().ok());
    admitted
        .take(1_000_000)
        .map(|permit| permit.settle(Verdict::Failure))
        .count()
}

pub(crate) async fn pass(time: Duration) {
    tokio::time::advance(time).await;
}
