use std::fmt;
use std::sync::Arc;

use buttress_core::{Settle, Verdict};

use crate::shared::{Ending, Shared};

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

    #[cold]
    fn abandon(&self) {
        self.shared.end(self.ending);
    }
}

impl Settle for Permit {
    #[inline(always)]
    fn settle(mut self, verdict: Verdict) {
        self.ending = Ending::SETTLED;
        self.shared.end(Ending::of(verdict));
    }
}

impl Drop for Permit {
    #[inline(always)]
    fn drop(&mut self) {
        if self.ending != Ending::SETTLED {
            self.abandon();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
