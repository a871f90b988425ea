//! What the breakers of the protected gateway did, as they told it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::report::millis;
use crate::stage::Upstream;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

impl BreakerState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// One change of state of the breaker towards `upstream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Transition {
    #[serde(rename = "at_ms", serialize_with = "millis::serialize")]
    pub at: Duration,
    pub upstream: Upstream,
    pub state: BreakerState,
}

/// A log of transitions that observers write and the report reads.
#[derive(Clone, Debug, Default)]
pub struct Transitions(Arc<Mutex<Vec<(Instant, Upstream, BreakerState)>>>);

impl Transitions {
    pub fn note(&self, upstream: Upstream, state: BreakerState) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push((Instant::now(), upstream, state));
    }

    /// All transitions so far, their times counted from `start`.
    pub fn since(&self, start: Instant) -> Vec<Transition> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = log.iter().map(|(instant, upstream, state)| Transition {
            at: instant.saturating_duration_since(start),
            upstream: *upstream,
            state: *state,
        });
        told.collect()
    }
}
