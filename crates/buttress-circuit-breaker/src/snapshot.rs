use std::fmt;
use std::time::{Duration, SystemTime};

use buttress_core::{Condition, Name};

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Calls go through and are judged.
    Closed,
    /// Calls are refused until the open time is over.
    Open,
    /// A few probes go through; the rest is refused.
    HalfOpen,
    /// Calls are refused until somebody says otherwise.
    ForcedOpen,
    /// Calls go through and nothing is judged, until somebody says otherwise.
    ForcedClosed,
    /// Calls go through and are counted, and nothing follows, until somebody says otherwise.
    MetricsOnly,
}

impl State {
    /// The state as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced-open",
            Self::ForcedClosed => "forced-closed",
            Self::MetricsOnly => "metrics-only",
        }
    }

    /// Whether calls get through.
    #[must_use]
    pub const fn condition(self) -> Condition {
        match self {
            Self::Closed | Self::ForcedClosed | Self::MetricsOnly => Condition::Up,
            Self::HalfOpen => Condition::Degraded,
            Self::Open | Self::ForcedOpen => Condition::Down,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The figures of a circuit breaker at one moment. Counts are exact when nothing is running.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The breaker's name.
    pub name: Name,
    /// Its state.
    pub state: State,
    /// Calls that failed, in every state, since it was built or reset.
    pub failure_count: u64,
    /// Calls that succeeded, in every state, since it was built or reset.
    pub success_count: u64,
    /// Failures in a row, at present.
    pub consecutive_failures: u32,
    /// Calls that ended without saying anything about the dependency, since it was built or reset.
    pub neutral_count: u64,
    /// Calls refused since it was built or reset.
    pub refused_count: u64,
    /// When a call last failed; for display only.
    pub last_failure_time: Option<SystemTime>,
    /// When the state last changed; for display only.
    pub last_state_change: SystemTime,
    /// How many transitions there have been.
    pub transitions: u32,
    /// The share of failed calls in the window, in 0..=1; the larger one if there are two windows, 0 if there is none.
    pub failure_rate: f64,
    /// The share of slow calls in the window, likewise.
    pub slow_call_rate: f64,
    /// Probes under way.
    pub probes_in_flight: usize,
    /// While it is open: the time until it lets probes through.
    pub open_for: Option<Duration>,
}
