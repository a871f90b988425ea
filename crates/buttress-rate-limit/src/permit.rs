use std::fmt;
use std::sync::Arc;

use buttress_core::{Quota, Settle, Verdict};

use crate::shared::Shared;
use crate::state::Receipt;

/// What an admitted call has taken from a limit: so many units.
///
/// Unlike other permits it gives nothing back when it is settled or dropped, however the call ends: the call was made, and those
/// who bill by the call bill it. [`give_back`](Self::give_back) and [`correct`](Self::correct) say otherwise.
#[must_use = "the units are taken; a permit that is dropped leaves it at that"]
pub struct Permit {
    // Nothing where nobody asks for the permit again: the usual call counts no reference.
    shared: Option<Arc<Shared>>,
    receipt: Receipt,
}

/// A permit whose units can be given back, or be corrected, when it is known what the call has cost.
pub trait Charged: Settle {
    /// Gives back what the call has taken.
    fn give_back(&mut self);

    /// Takes what the call has cost beyond what it took, or gives back what it took beyond that.
    ///
    /// What is taken afterwards is taken whether it is there or not, and those that come later wait for it; no more than once the
    /// limit's capacity is owed in that way. It stays taken, whatever is said later.
    fn correct(&mut self, units: u32);
}

impl Permit {
    #[inline]
    pub(crate) const fn new(shared: Option<Arc<Shared>>, receipt: Receipt) -> Self {
        Self { shared, receipt }
    }

    pub(crate) const fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// The units that the call has taken.
    #[must_use]
    pub const fn units(&self) -> u32 {
        self.receipt.units()
    }

    /// Gives back what the call has taken: nobody worked for it.
    ///
    /// A token bucket takes it back as if it were filled by so much. A window can only take back what was taken of the slot that it
    /// fills at this moment; anything else is free when that slot leaves the window.
    pub fn give_back(mut self) {
        Charged::give_back(&mut self);
    }

    /// Settles the call for what it has really cost, known after it was made; see [`Charged::correct`].
    pub fn correct(mut self, units: u32) {
        Charged::correct(&mut self, units);
    }
}

impl Charged for Permit {
    fn give_back(&mut self) {
        Charged::correct(self, 0);
    }

    fn correct(&mut self, units: u32) {
        if let Some(shared) = &self.shared {
            shared.correct(&mut self.receipt, units);
        }
    }
}

impl Settle for Permit {
    #[inline(always)]
    fn settle(self, _: Verdict) {}

    fn quota(&self) -> Option<Quota> {
        let shared = self.shared.as_ref().filter(|shared| shared.has_quota());
        shared.map(|shared| shared.quota())
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("units", &self.units())
            .finish_non_exhaustive()
    }
}
