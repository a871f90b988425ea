use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use buttress_core::{Quota, Settle, Verdict};

use super::place::Home;
use super::shared::KeyedShared;
use crate::permit::Charged;
use crate::state::Receipt;

/// What an admitted call has taken from the limit of its key: so many units. As a [`Permit`](crate::Permit) it gives nothing back by
/// itself.
///
/// What was taken of a key's own limit goes back there, unless the key was forgotten since: a window then takes nothing back. What was
/// taken of the limit that keys share goes back to that one, also when the key has got a place since.
#[must_use = "the units are taken; a permit that is dropped leaves it at that"]
pub struct KeyedPermit<K> {
    // Nothing where nobody asks for the permit again.
    kept: Option<(Arc<KeyedShared<K>>, Home<K>)>,
    receipt: Receipt,
}

impl<K: Clone + Eq + Hash> KeyedPermit<K> {
    #[inline]
    pub(super) const fn new(
        kept: Option<(Arc<KeyedShared<K>>, Home<K>)>,
        receipt: Receipt,
    ) -> Self {
        Self { kept, receipt }
    }

    /// The units that the call has taken.
    #[must_use]
    pub const fn units(&self) -> u32 {
        self.receipt.units()
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
        if let Some((shared, home)) = &self.kept {
            shared.correct(home, &mut self.receipt, units);
        }
    }
}

impl<K: Clone + Eq + Hash> Settle for KeyedPermit<K> {
    #[inline(always)]
    fn settle(self, _: Verdict) {}

    fn quota(&self) -> Option<Quota> {
        let (shared, home) = self.kept.as_ref()?;
        Some(match home {
            Home::Own(key, _) => shared.quota(key),
            Home::Shared => shared.shared_quota(),
        })
    }
}

impl<K> fmt::Debug for KeyedPermit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedPermit")
            .field("units", &self.receipt.units())
            .finish_non_exhaustive()
    }
}
