//! The machine: one word that holds the limit and the calls inside, so that no admission ever sees an old limit.

use buttress_sync::atomic::{AtomicU64, Ordering};

#[cfg(all(test, buttress_loom))]
mod loom_tests;
#[cfg(all(test, not(buttress_loom)))]
mod tests;

/// The largest limit. More calls at once than this are no limit at all.
pub(crate) const MOST_CALLS: u32 = 1_000_000;

/// The slots of a bulkhead: `closed:1 | watched:1 | limit:30 | in_flight:32`.
#[derive(Debug)]
pub(crate) struct Slots(AtomicU64);

/// What stands in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupancy(u64);

/// Why no slot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
}

const CLOSED: u64 = 1 << 63;
const WATCHED: u64 = 1 << 62;
const LIMIT: u32 = 32;

impl Occupancy {
    #[inline]
    pub(crate) const fn limit(self) -> u32 {
        ((self.0 & !(CLOSED | WATCHED)) >> LIMIT) as u32
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub(crate) const fn in_flight(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    const fn is_watched(self) -> bool {
        self.0 & WATCHED != 0
    }
}

impl Slots {
    pub(crate) fn new(limit: u32) -> Self {
        Self(AtomicU64::new(u64::from(limit) << LIMIT))
    }

    /// Takes a slot. A full bulkhead is only read, so that refusing costs no contention.
    #[inline]
    pub(crate) fn try_take(&self) -> Result<(), Refusal> {
        let mut seen = self.occupancy();
        loop {
            if seen.is_closed() {
                return Err(Refusal::Closed);
            }
            if seen.in_flight() >= seen.limit() {
                return Err(Refusal::Full);
            }
            match self.exchange(seen, seen.0 + 1) {
                Ok(_) => return Ok(()),
                Err(now) => seen = Occupancy(now),
            }
        }
    }

    /// Gives a slot back, and tells whether somebody waits for the last one and this was it.
    #[inline]
    pub(crate) fn give_back(&self) -> bool {
        let before = Occupancy(self.0.fetch_sub(1, Ordering::AcqRel));
        before.is_watched() && before.in_flight() == 1
    }

    /// Changes the limit. Calls inside go on; while there are more of them than the new limit, nobody gets in.
    pub(crate) fn resize(&self, limit: u32) {
        let mask = u64::from(u32::MAX) | CLOSED | WATCHED;
        self.update(|word| (word & mask) | u64::from(limit) << LIMIT);
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Asks to be told when the last call leaves, and tells what is inside at that moment.
    pub(crate) fn watch(&self) -> Occupancy {
        Occupancy(self.0.fetch_or(WATCHED, Ordering::AcqRel))
    }

    /// Nobody wants to be told any more.
    pub(crate) fn unwatch(&self) {
        self.0.fetch_and(!WATCHED, Ordering::AcqRel);
    }

    #[inline]
    pub(crate) fn occupancy(&self) -> Occupancy {
        Occupancy(self.0.load(Ordering::Acquire))
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        let mut seen = self.occupancy();
        while let Err(now) = self.exchange(seen, change(seen.0)) {
            seen = Occupancy(now);
        }
    }

    #[inline]
    fn exchange(&self, seen: Occupancy, next: u64) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(seen.0, next, Ordering::AcqRel, Ordering::Acquire)
    }
}
