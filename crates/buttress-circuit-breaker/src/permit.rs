use std::fmt;
use std::mem;
use std::sync::Arc;

use buttress_core::{Settle, Verdict};

use crate::shared::Shared;
use crate::state::Entry;
use buttress_timer::Moment;

/// A call that the breaker let in: settled with what came of it, or dropped when nobody knows.
///
/// It carries the generation that admitted it. A result that arrives in another one is counted, and moves nothing.
#[must_use = "dropping a permit at once says that nobody waited for the call"]
pub struct Permit {
    shared: Arc<Shared>,
    entry: Entry,
    started: Moment,
}

impl Permit {
    #[inline(always)]
    pub(crate) const fn new(shared: Arc<Shared>, entry: Entry, started: Moment) -> Self {
        Self {
            shared,
            entry,
            started,
        }
    }

    /// Whether the call finds out, for a half-open breaker, if the dependency is well again.
    #[must_use]
    #[inline]
    pub const fn is_probe(&self) -> bool {
        self.entry.is_probe()
    }
}

impl Settle for Permit {
    #[inline(always)]
    fn settle(mut self, verdict: Verdict) {
        let entry = mem::replace(&mut self.entry, Entry::SETTLED);
        if matches!(verdict, Verdict::Success) {
            self.shared.succeed(entry, self.started);
        } else {
            self.shared.settle(entry, self.started, verdict);
        }
    }

    #[inline]
    fn note(&self, verdict: Verdict) {
        if self.is_probe() {
            self.shared.note(self.entry, self.started, verdict);
        }
    }
}

impl Drop for Permit {
    #[inline(always)]
    fn drop(&mut self) {
        if self.entry != Entry::SETTLED {
            self.shared.abandon(self.entry, self.started);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("is_probe", &self.is_probe())
            .finish_non_exhaustive()
    }
}
