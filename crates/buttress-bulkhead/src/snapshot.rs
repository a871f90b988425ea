use buttress_core::{Name, Priority};
use buttress_histogram::HistogramSnapshot;

use crate::state::{PerClass, Tally};

/// The figures of a bulkhead at one moment. Counts are exact when nothing is running.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The bulkhead's name.
    pub name: Name,
    /// Calls inside.
    pub active_calls: u32,
    /// Calls that may be inside at once.
    pub max_concurrent: u32,
    /// Calls that wait to get in, of all classes.
    pub queued_calls: u32,
    /// Calls refused since it was built.
    pub rejected_calls: u64,
    /// Calls inside as a percentage of the limit: 0 to 100, above it after the limit was lowered under calls that run.
    pub utilization_percent: f64,
    /// Calls that ended since it was built: succeeded.
    pub success_count: u64,
    /// Calls that ended since it was built: failed, overloaded or throttled.
    pub failure_count: u64,
    /// Calls that ended since it was built without saying anything: dropped, or refused further in.
    pub neutral_count: u64,
    /// Whether it was closed.
    pub closed: bool,
    /// Calls that may wait to get in.
    pub max_queued: u32,
    /// How long the calls that had to wait for a slot and got one have waited.
    pub waits: HistogramSnapshot,
    pub(crate) classes: PerClass<ClassSnapshot>,
}

impl Snapshot {
    /// The figures of one class.
    #[must_use]
    pub const fn class(&self, priority: Priority) -> ClassSnapshot {
        *self.classes.get(priority)
    }
}

/// The figures of one class of calls in a bulkhead's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassSnapshot {
    /// Calls that wait to get in.
    pub queued_calls: u32,
    /// Calls that waited and got in, since it was built.
    pub granted_count: u64,
    /// Calls that were turned out to make room, since it was built.
    pub displaced_count: u64,
    /// Calls whose wait was over, by the longest wait or by their deadline, since it was built.
    pub expired_count: u64,
    /// Slots that were granted, not taken up in time and passed on, since it was built.
    pub revoked_count: u64,
}

impl ClassSnapshot {
    pub(crate) const fn new((queued, tally): (u32, Tally)) -> Self {
        Self {
            queued_calls: queued,
            granted_count: tally.granted,
            displaced_count: tally.displaced,
            expired_count: tally.expired,
            revoked_count: tally.revoked,
        }
    }

    /// What has happened in each class here and there, together.
    pub(crate) fn sums(here: &PerClass<Self>, there: &PerClass<Self>) -> PerClass<Self> {
        PerClass::from_fn(|class| {
            let (one, other) = (here.get(class), there.get(class));
            Self {
                queued_calls: one.queued_calls.saturating_add(other.queued_calls),
                granted_count: one.granted_count.saturating_add(other.granted_count),
                displaced_count: one.displaced_count.saturating_add(other.displaced_count),
                expired_count: one.expired_count.saturating_add(other.expired_count),
                revoked_count: one.revoked_count.saturating_add(other.revoked_count),
            }
        })
    }
}
