use buttress_core::{Priority, Rejected};

/// What happens in a bulkhead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It refused a call.
    #[non_exhaustive]
    Refused {
        /// What the caller got.
        rejected: Rejected,
    },
    /// Its limit was changed while it runs.
    #[non_exhaustive]
    Resized {
        /// The limit that holds from now on.
        max_concurrent: u32,
    },
    /// The length of its queue was changed while it runs.
    #[non_exhaustive]
    QueueResized {
        /// How many may wait from now on.
        queue: u32,
    },
    /// A slot was granted to a waiting call that did not take it up in time, and passes on to the next: the call's future is
    /// there, but nobody polls it.
    #[non_exhaustive]
    Revoked {
        /// The class of that call.
        priority: Priority,
    },
    /// It was closed: nobody gets in any more.
    Closed,
}
