//! What limits a level: its own slots, and gates of other crates, whatever their types.

use std::fmt;
use std::sync::Arc;

use buttress_core::{Gate, Plain, Rejected, Settle, Verdict};
use buttress_sync::atomic::{AtomicU32, Ordering};

/// A gate of any type.
pub(crate) trait DynGate<Req>: Send + Sync {
    fn admit(&self, request: &mut Req) -> Result<Box<dyn DynPermit>, Rejected>;
}

/// A permit of any type.
pub(crate) trait DynPermit: Send + Sync {
    fn settle(self: Box<Self>, verdict: Verdict);
}

pub(crate) struct Erased<G>(pub(crate) G);

impl<Req, G> DynGate<Req> for Erased<G>
where
    G: Gate<Req, Plain> + Send + Sync,
    G::Permit: Send + Sync + 'static,
{
    fn admit(&self, request: &mut Req) -> Result<Box<dyn DynPermit>, Rejected> {
        let permit = self.0.admit(request, &Plain::new())?;
        self.0.mark(&permit, request, &Plain::new());
        Ok(Box::new(Erased(permit)))
    }
}

impl<P: Settle + Send + Sync> DynPermit for Erased<P> {
    fn settle(self: Box<Self>, verdict: Verdict) {
        self.0.settle(verdict);
    }
}

/// How many calls a level may have at once.
#[derive(Clone)]
pub(crate) struct Slots {
    most: u32,
    taken: Arc<AtomicU32>,
}

/// One of them; given back when dropped.
pub(crate) struct Slot(Arc<AtomicU32>);

impl Slots {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            taken: Arc::new(AtomicU32::new(0)),
        }
    }

    pub(crate) const fn most(&self) -> u32 {
        self.most
    }

    pub(crate) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) -> Option<Slot> {
        let free = |taken: u32| (taken < self.most).then(|| taken + 1);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, free)
            .is_ok()
            .then(|| Slot(Arc::clone(&self.taken)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.taken(), self.most)
    }
}

/// All that a call of a level has taken.
#[derive(Default)]
pub(crate) struct Permits {
    // The order matters: gates hear of the end before another call gets the slot.
    permits: Vec<Box<dyn DynPermit>>,
    slot: Option<Slot>,
}

impl Permits {
    /// Takes all of it, or nothing. `Err(None)` where the level's own slots are taken.
    pub(crate) fn take<Req>(
        slots: Option<&Slots>,
        gates: &[Box<dyn DynGate<Req>>],
        request: &mut Req,
    ) -> Result<Self, Option<Rejected>> {
        let slot = match slots {
            Some(slots) => Some(slots.take().ok_or(None)?),
            None => None,
        };
        let mut taken = Self {
            permits: Vec::new(),
            slot,
        };
        for gate in gates {
            taken.permits.push(gate.admit(request).map_err(Some)?);
        }
        Ok(taken)
    }
}

impl Settle for Permits {
    fn settle(self, verdict: Verdict) {
        for permit in self.permits {
            permit.settle(verdict);
        }
        drop(self.slot);
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permits").field(&self.permits.len()).finish()
    }
}
