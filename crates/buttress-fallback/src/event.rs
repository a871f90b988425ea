use buttress_core::{ServedBy, Trail, Tried};

/// What happens in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A level was asked in vain, or passed over, and the call goes on to the next.
    #[non_exhaustive]
    Failed {
        /// What became of it.
        tried: Tried,
    },
    /// An answer came from below the primary.
    #[non_exhaustive]
    Served {
        /// Whence.
        by: ServedBy,
    },
    /// Every level was asked in vain, or there was no time for more.
    #[non_exhaustive]
    Exhausted {
        /// What became of each.
        trail: Trail,
    },
}
