use buttress_core::Rejected;

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
    /// It was closed: nobody gets in any more.
    Closed,
}
