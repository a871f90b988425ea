use std::time::Duration;

use buttress_core::Verdict;

/// What happens to calls that are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A call failed and is to be sent again, unless the service turns out not to be ready for it.
    #[non_exhaustive]
    Retried {
        /// The number of the retry, the first being 1.
        retry: u32,
        /// How long it waits before.
        delay: Duration,
        /// How the attempt before ended.
        verdict: Verdict,
    },
    /// A call failed in a way that could be tried again, and is not.
    #[non_exhaustive]
    Stopped {
        /// How many retries there were.
        retries: u32,
        /// Why there is no further one.
        why: Stop,
    },
}

/// Why a call that failed is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// It was sent as often as may be.
    Attempts,
    /// The budget is spent.
    Budget,
    /// The time that all attempts may take is over, or would be before the next.
    TotalTime,
    /// The caller's deadline leaves no time for the wait and the fastest answer seen.
    Deadline,
    /// The server asks for a longer wait than the cap of the back-off.
    Hint,
    /// Sending it twice may have an effect twice: no safe or idempotent method and no idempotency key.
    NotRepeatable,
    /// Its body was too long to be kept, or there was no room for it.
    NotReplayable,
    /// It is a retry of a layer further out already.
    RetriedAbove,
    /// The service was not ready for another attempt, or not in time.
    NotReady,
}

impl Stop {
    /// Every reason, in the order of declaration.
    pub(crate) const ALL: [Self; 9] = [
        Self::Attempts,
        Self::Budget,
        Self::TotalTime,
        Self::Deadline,
        Self::Hint,
        Self::NotRepeatable,
        Self::NotReplayable,
        Self::RetriedAbove,
        Self::NotReady,
    ];
}
