use std::time::Duration;

use buttress_core::Rejected;

/// What happens to the calls behind a timeout, and to the timeout itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A call was ended in this phase of it, by the timeout or by the caller's deadline.
    #[non_exhaustive]
    Cut {
        /// What took too long.
        phase: Phase,
        /// What the caller got.
        rejected: Rejected,
    },
    /// A call came after its deadline and was not made.
    #[non_exhaustive]
    Refused {
        /// What the caller got.
        rejected: Rejected,
    },
    /// So many calls are cut that nobody can say any more what the others would have taken: the timeout stays where it is, and more
    /// calls are given longer to find out.
    #[non_exhaustive]
    Frozen {
        /// The timeout as it stays.
        timeout: Duration,
    },
    /// What calls take is known again, and the timeout follows it.
    #[non_exhaustive]
    Resumed {
        /// The timeout as it is now.
        timeout: Duration,
    },
}

/// A part of a call whose time is limited by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Until the head of the answer; of a plain call all of it.
    Head,
    /// From the head to the first piece of the body.
    FirstByte,
    /// Between two pieces of the body.
    Idle,
    /// The whole call.
    Total,
}

impl Phase {
    /// The phase as one lower-case word, for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::FirstByte => "first-byte",
            Self::Idle => "idle",
            Self::Total => "total",
        }
    }
}
