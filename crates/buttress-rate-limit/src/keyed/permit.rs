use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use buttress_core::{Quota, Settle, Verdict};

use super::shared::KeyedShared;
use super::taken::Taken;
use crate::permit::Charged;

/// What an admitted call has taken from the limit of its key: so many units. As a [`Permit`](crate::Permit) it gives nothing back by
/// itself.
///
/// A key that shares the limit of those for which there is no room goes by that one: it is told what is left of it, and gives back to
/// it, even when it has a place of its own by then.
#[must_use = "the units are taken; a permit that is dropped leaves it at that"]
pub struct KeyedPermit<K> {
    // Nothing where nobody asks for the permit again, or where there was no key.
    kept: Option<(Arc<KeyedShared<K>>, K)>,
    taken: Taken,
}

impl<K: Clone + Eq + Hash> KeyedPermit<K> {
    #[inline]
    pub(super) const fn new(kept: Option<(Arc<KeyedShared<K>>, K)>, taken: Taken) -> Self {
        Self { kept, taken }
    }

    /// The units that the call has taken.
    #[must_use]
    pub const fn units(&self) -> u32 {
        self.taken.receipt.units()
    }

    /// Gives back what the call has taken; see [`Permit::give_back`](crate::Permit::give_back).
    pub fn give_back(mut self) {
        Charged::give_back(&mut self);
    }

    /// Settles the call for what it has really cost; see [`Charged::correct`].
    pub fn correct(mut self, units: u32) {
        Charged::correct(&mut self, units);
    }
}

impl<K: Clone + Eq + Hash> Charged for KeyedPermit<K> {
    fn give_back(&mut self) {
        Charged::correct(self, 0);
    }

    fn correct(&mut self, units: u32) {
        if let Some((shared, key)) = &self.kept {
            shared.correct(key, &mut self.taken, units);
        }
    }
}

impl<K: Clone + Eq + Hash> Settle for KeyedPermit<K> {
    #[inline(always)]
    fn settle(self, _: Verdict) {}

    fn quota(&self) -> Option<Quota> {
        let kept = self.kept.as_ref();
        kept.map(|(shared, key)| shared.quota_after(key, self.taken))
    }
}

impl<K> fmt::Debug for KeyedPermit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedPermit")
            .field("units", &self.taken.receipt.units())
            .finish_non_exhaustive()
    }
}
