use buttress_core::Rejected;

use crate::rate::Rate;

/// What happens at a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It refused a call.
    #[non_exhaustive]
    Refused {
        /// What the caller got.
        rejected: Rejected,
    },
    /// Its rate was changed while it runs.
    #[non_exhaustive]
    RateChanged {
        /// The rate that holds from now on.
        rate: Rate,
    },
    /// It was closed: nobody is admitted any more.
    Closed,
}
