use std::sync::Arc;

use crate::tally::{Counts, Tally};

/// The test's hold on a [`Probe`](crate::Probe) that a layer has swallowed.
///
/// Clones are the same controls.
#[derive(Clone, Debug)]
pub struct Controls {
    pub(crate) tally: Arc<Tally>,
}

impl Controls {
    /// What the probe and all its clones have counted so far.
    ///
    /// Exact when nothing is running; otherwise each figure is right at some moment of the call.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }

    /// Ends one pending poll of everything that waits by hand, and wakes it.
    ///
    /// What parks later waits for the next release.
    pub fn release(&self) {
        self.tally.parking.release();
    }
}
