use std::fmt;
use std::sync::Arc;

use buttress_core::{Settle, Verdict};

use crate::shared::Shared;
use crate::state::Claim;

/// A slot that a call holds: free again when the permit is settled or dropped.
#[must_use = "dropping a permit at once frees its slot"]
pub struct Permit {
    shared: Arc<Shared>,
    // Nothing once it was given back.
    claim: Claim,
}

/// What is counted of a call that ended: the place of its counter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending(pub(crate) usize);

impl Ending {
    pub(crate) const KINDS: usize = 3;
    const SUCCEEDED: Self = Self(0);
    const FAILED: Self = Self(1);
    pub(crate) const NEUTRAL: Self = Self(2);

    #[inline]
    pub(crate) const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::SUCCEEDED,
            Verdict::Neutral => Self::NEUTRAL,
            _ => Self::FAILED,
        }
    }
}

impl Permit {
    #[inline]
    pub(crate) const fn new(shared: Arc<Shared>, claim: Claim) -> Self {
        Self { shared, claim }
    }

    #[cold]
    fn abandon(&self) {
        self.shared.end(self.claim, Ending::NEUTRAL);
    }
}

impl Settle for Permit {
    #[inline(always)]
    fn settle(mut self, verdict: Verdict) {
        let claim = std::mem::replace(&mut self.claim, Claim::NONE);
        self.shared.end(claim, Ending::of(verdict));
    }
}

impl Drop for Permit {
    #[inline(always)]
    fn drop(&mut self) {
        if self.claim != Claim::NONE {
            self.abandon();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
