use buttress_core::{Name, Priority};
use buttress_histogram::HistogramSnapshot;

use crate::snapshot::{ClassSnapshot, Snapshot};
use crate::state::{Occupancy, PerClass};

/// The figures of the bulkheads of many keys at one moment. Counts are exact when nothing is running.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyedSnapshot {
    /// The name of all of them.
    pub name: Name,
    /// Keys that have a bulkhead of their own.
    pub keys: usize,
    /// Keys that can have one.
    pub max_keys: usize,
    /// How often the bulkhead was asked for that keys share for which there is no room.
    pub overflowed: u64,
    /// Requests refused because they had no key.
    pub keyless: u64,
    /// Bulkheads with no slot free, the shared one included.
    pub full: usize,
    /// Calls inside, of all keys.
    pub active_calls: u64,
    /// Calls that wait to get in, of all keys.
    pub queued_calls: u64,
    /// Calls refused by a bulkhead, of all keys, since it was built.
    pub rejected_calls: u64,
    /// Calls that ended since it was built: succeeded.
    pub success_count: u64,
    /// Calls that ended since it was built: failed, overloaded or throttled.
    pub failure_count: u64,
    /// Calls that ended since it was built without saying anything: dropped, or refused further in.
    pub neutral_count: u64,
    /// How long the calls that had to wait for a slot and got one have waited.
    pub waits: HistogramSnapshot,
    classes: PerClass<ClassSnapshot>,
}

impl KeyedSnapshot {
    /// What the shared bulkhead shows, and what there was in those that were forgotten.
    pub(crate) fn new(shared: Snapshot, forgotten: PerClass<ClassSnapshot>) -> Self {
        Self {
            name: shared.name,
            keys: 0,
            max_keys: 0,
            overflowed: 0,
            keyless: 0,
            full: usize::from(shared.active_calls >= shared.max_concurrent),
            active_calls: shared.active_calls.into(),
            queued_calls: shared.queued_calls.into(),
            rejected_calls: shared.rejected_calls,
            success_count: shared.success_count,
            failure_count: shared.failure_count,
            neutral_count: shared.neutral_count,
            waits: shared.waits,
            classes: ClassSnapshot::sums(&shared.classes, &forgotten),
        }
    }

    /// Adds what one more bulkhead shows.
    pub(crate) fn add(&mut self, occupancy: Occupancy, classes: &PerClass<ClassSnapshot>) {
        let active = occupancy.in_flight();
        self.full += usize::from(active >= occupancy.limit());
        self.active_calls += u64::from(active);
        let queued = classes
            .iter()
            .map(|(_, class)| u64::from(class.queued_calls));
        self.queued_calls += queued.sum::<u64>();
        self.classes = ClassSnapshot::sums(&self.classes, classes);
    }

    /// The figures of one class, over all keys.
    #[must_use]
    pub const fn class(&self, priority: Priority) -> ClassSnapshot {
        *self.classes.get(priority)
    }
}
