use std::time::Duration;

use buttress_core::Rejected;

use crate::snapshot::State;

/// What happens in a circuit breaker: its transitions, and the calls it refuses.
///
/// Transitions are in one order for all observers, told by `sequence`, which grows by one with each.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It stopped letting calls through.
    #[non_exhaustive]
    Opened {
        /// The transition's place in the order of all.
        sequence: u32,
        /// Why.
        cause: Cause,
        /// For how long no call is let through, jitter included.
        open_for: Duration,
        /// How often in a row it has opened again out of half-open.
        reopened: u32,
    },
    /// The open time is over: it lets a few probes through.
    #[non_exhaustive]
    HalfOpened {
        /// The transition's place in the order of all.
        sequence: u32,
    },
    /// Enough probes succeeded: it lets calls through again.
    #[non_exhaustive]
    Closed {
        /// The transition's place in the order of all.
        sequence: u32,
        /// What happened since it first opened.
        story: Story,
    },
    /// Somebody put it into a state by hand.
    #[non_exhaustive]
    Forced {
        /// The transition's place in the order of all.
        sequence: u32,
        /// The state that it is in now.
        state: State,
    },
    /// It refused a call.
    #[non_exhaustive]
    Refused {
        /// What the caller got.
        rejected: Rejected,
    },
}

/// Why a breaker opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too large a share of failures in a window.
    FailureRate,
    /// Too large a share of slow calls in a window.
    SlowCallRate,
    /// A probe failed while it was half-open.
    ProbeFailed,
}

/// The story of an outage, told when it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Story {
    /// The time from the first opening to the closing.
    pub open_for: Duration,
    /// Calls refused meanwhile.
    pub refused: u64,
    /// How the probes ended.
    pub probes: Probes,
    /// How often it opened again out of half-open.
    pub reopened: u32,
}

/// How the probes of an outage ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probes {
    /// Succeeded.
    pub good: u64,
    /// Failed, or were slow where slowness counts.
    pub failed: u64,
    /// Ended without a result: their place went to another.
    pub dropped: u64,
    /// Ran into their time limit; they are counted as good, failed or dropped as well.
    pub late: u64,
}
