use std::fmt;
use std::sync::Arc;

use buttress_core::{Settle, Verdict};

use crate::handle::{Ending, Shared};

/// A slot that a call holds: free again when the permit is settled or dropped.
#[must_use = "dropping a permit at once frees its slot"]
pub struct Permit {
    shared: Arc<Shared>,
    // What dropping it says: nothing, until somebody settles. A whole word: padding would cost more than it saves.
    ending: Ending,
}

impl Permit {
    #[inline]
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            ending: Ending::NEUTRAL,
        }
    }
}

impl Settle for Permit {
    #[inline]
    fn settle(mut self, verdict: Verdict) {
        self.ending = Ending::of(verdict);
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.shared.end(self.ending);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
