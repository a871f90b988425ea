//! The machine: one word that holds the limit and the calls inside, so that no admission ever sees an old limit.

use buttress_sync::Mutex;
use buttress_sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[cfg(all(test, buttress_loom))]
mod loom_tests;
#[cfg(all(test, not(buttress_loom)))]
#[expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]
mod tests;

/// The largest limit. More calls at once than this are no limit at all.
pub(crate) const MOST_CALLS: u32 = 1_000_000;

/// The slots of a bulkhead.
///
/// One word says who gets in: `limit:32 | watched:1 | in_flight:31`. A closed bulkhead has the limit zero, which is no limit
/// otherwise, so that the way in asks one question; what was configured stands beside it.
#[derive(Debug)]
pub(crate) struct Slots {
    word: AtomicU64,
    configured: AtomicU32,
    /// Held while the limit changes, so that what is configured and what is in force do not part.
    changing: Mutex<()>,
}

/// What stands in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupancy(u64);

const WATCHED: u32 = 1 << 31;
const LIMIT: u32 = 32;

impl Occupancy {
    #[inline]
    const fn limit(self) -> u32 {
        (self.0 >> LIMIT) as u32
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    const fn lower_half(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(crate) const fn in_flight(self) -> u32 {
        self.lower_half() & !WATCHED
    }

    pub(crate) const fn is_closed(self) -> bool {
        self.limit() == 0
    }
}

impl Slots {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            word: AtomicU64::new(u64::from(limit) << LIMIT),
            configured: AtomicU32::new(limit),
            changing: Mutex::new(()),
        }
    }

    /// Takes a slot, if one is free. A full bulkhead is only read, so that refusing costs no contention.
    #[inline]
    pub(crate) fn try_take(&self) -> bool {
        self.take().is_some()
    }

    /// The same, telling what stood in the word at the moment of taking, this call included.
    #[inline]
    fn take(&self) -> Option<Occupancy> {
        let mut seen = self.occupancy();
        while seen.in_flight() < seen.limit() {
            match self.exchange(seen, seen.0 + 1) {
                Ok(_) => return Some(Occupancy(seen.0 + 1)),
                Err(now) => seen = Occupancy(now),
            }
        }
        None
    }

    /// Gives a slot back, and tells whether somebody waits for the last one and this was it.
    #[inline]
    pub(crate) fn give_back(&self) -> bool {
        let before = Occupancy(self.word.fetch_sub(1, Ordering::AcqRel));
        before.lower_half() == WATCHED | 1
    }

    /// Changes the limit. Calls inside go on; while there are more of them than the new limit, nobody gets in. What is closed
    /// stays closed.
    pub(crate) fn resize(&self, limit: u32) {
        let _changing = self.changing.lock();
        self.configured.store(limit, Ordering::Release);
        let mut seen = self.occupancy();
        while !seen.is_closed() {
            let next = u64::from(limit) << LIMIT | u64::from(seen.lower_half());
            match self.exchange(seen, next) {
                Ok(_) => return,
                Err(now) => seen = Occupancy(now),
            }
        }
    }

    /// Lets nobody in any more, and tells whether somebody could until now.
    pub(crate) fn close(&self) -> bool {
        let before = self.word.fetch_and(u64::from(u32::MAX), Ordering::AcqRel);
        !Occupancy(before).is_closed()
    }

    /// The limit as it was configured last.
    pub(crate) fn configured(&self) -> u32 {
        self.configured.load(Ordering::Acquire)
    }

    /// Asks to be told when the last call leaves, and tells what is inside at that moment.
    pub(crate) fn watch(&self) -> Occupancy {
        Occupancy(self.word.fetch_or(WATCHED.into(), Ordering::AcqRel))
    }

    /// Nobody wants to be told any more.
    pub(crate) fn unwatch(&self) {
        self.word.fetch_and(!u64::from(WATCHED), Ordering::AcqRel);
    }

    #[inline]
    pub(crate) fn occupancy(&self) -> Occupancy {
        Occupancy(self.word.load(Ordering::Acquire))
    }

    #[inline]
    fn exchange(&self, seen: Occupancy, next: u64) -> Result<u64, u64> {
        self.word
            .compare_exchange_weak(seen.0, next, Ordering::AcqRel, Ordering::Acquire)
    }
}
