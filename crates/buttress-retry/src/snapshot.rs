use buttress_core::Name;

use crate::budget::BudgetSnapshot;
use crate::event::Stop;

/// The figures of a retry at one moment. Counts are exact when nothing is running.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub name: Name,
    /// The figures of its budget: requests and retries, also of others that share it.
    pub budget: BudgetSnapshot,
    /// How often a call that failed was not sent again, for each reason.
    pub stopped: [(Stop, u64); 9],
    /// Bytes of bodies that are kept for another attempt at this moment.
    pub kept_bytes: usize,
}

impl Snapshot {
    /// How often a call that failed was not sent again for this reason.
    #[must_use]
    pub fn stopped(&self, why: Stop) -> u64 {
        let mut counts = self.stopped.iter();
        counts
            .find(|(other, _)| *other == why)
            .map_or(0, |(_, count)| *count)
    }
}
