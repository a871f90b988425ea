//! One word that holds the limit and the calls inside, so that no admission ever sees an old limit.

use buttress_sync::Mutex;
use buttress_sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[cfg(all(test, buttress_loom))]
mod loom_tests;
#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
#[expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]
mod tests;

/// The largest limit. More calls at once than this are no limit at all.
pub(crate) const MOST_CALLS: u32 = 1_000_000;

/// The slots of a bulkhead.
///
/// One word says who gets in: `limit:20 | unused:2 | watched:1 | ordinary:20 | waited_for:1 | in_flight:20`. The way in asks
/// one question: a closed bulkhead has the limit zero, which is no limit otherwise (what was configured stands beside it), and the
/// mark of those who wait makes the calls inside, read together with it, more than any limit.
#[derive(Debug)]
pub(crate) struct Slots {
    word: AtomicU64,
    configured: AtomicU32,
    /// The last slots, which calls of the top class alone may take.
    reserved: u32,
    /// Held while the limit changes, so that what is configured and what is in force do not part.
    changing: Mutex<()>,
}

/// What a call takes of the word, and gives back: one of all slots, and one of the ordinary ones unless it is of the top class
/// and some are reserved for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim(u64);

/// What stands in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupancy(u64);

const FIELD: u32 = 20;
const MASK: u64 = (1 << FIELD) - 1;
const WAITED_FOR: u64 = 1 << FIELD;
const ORDINARY: u32 = FIELD + 1;
const WATCHED: u64 = 1 << (ORDINARY + FIELD);
const LIMIT: u32 = u64::BITS - FIELD;

impl Claim {
    pub(crate) const ORDINARY: Self = Self(1 << ORDINARY | 1);
    pub(crate) const TOP: Self = Self(1);
    /// Nothing: what stands in a permit that has been given back.
    pub(crate) const NONE: Self = Self(0);
}

impl Occupancy {
    #[inline]
    pub(crate) const fn limit(self) -> u32 {
        (self.0 >> LIMIT) as u32
    }

    #[inline]
    pub(crate) const fn in_flight(self) -> u32 {
        (self.0 & MASK) as u32
    }

    /// The same, or more than any limit when somebody waits.
    #[inline]
    const fn in_flight_unless_waited_for(self) -> u32 {
        (self.0 & (WAITED_FOR | MASK)) as u32
    }

    #[inline]
    const fn ordinary(self) -> u32 {
        (self.0 >> ORDINARY & MASK) as u32
    }

    #[inline]
    pub(crate) const fn is_waited_for(self) -> bool {
        self.0 & WAITED_FOR != 0
    }

    pub(crate) const fn is_watched(self) -> bool {
        self.0 & WATCHED != 0
    }

    pub(crate) const fn is_closed(self) -> bool {
        self.limit() == 0
    }

    /// Whether a call that leaves this behind has somebody to tell.
    #[inline]
    pub(crate) const fn concerns_somebody(self) -> bool {
        self.0 & (WAITED_FOR | WATCHED) != 0
    }

    /// Whether somebody wants to know of the last call to leave, and this was it.
    pub(crate) const fn was_the_last_and_watched(self) -> bool {
        self.is_watched() && self.in_flight() == 1
    }
}

impl Slots {
    pub(crate) fn new(limit: u32, reserved: u32) -> Self {
        Self {
            word: AtomicU64::new(u64::from(limit) << LIMIT),
            configured: AtomicU32::new(limit),
            reserved,
            changing: Mutex::new(()),
        }
    }

    /// How many slots only the top class may take.
    #[inline]
    pub(crate) const fn reserved(&self) -> u32 {
        self.reserved
    }

    /// Takes a slot where none is reserved, if one is free and nobody waits for it. A full bulkhead is only read, so that
    /// refusing costs no contention.
    #[inline(always)]
    pub(crate) fn take_unreserved(&self) -> bool {
        let mut seen = self.occupancy();
        while seen.in_flight_unless_waited_for() < seen.limit() {
            match self.exchange(seen, seen.0 + Claim::ORDINARY.0) {
                Ok(_) => return true,
                Err(now) => seen = Occupancy(now),
            }
        }
        false
    }

    /// Takes a slot, if one is free for such a call and nobody waits; tells what stood in the word at that moment, this call
    /// included.
    pub(crate) fn take(&self, claim: Claim) -> Option<Occupancy> {
        let mut seen = self.occupancy();
        while !seen.is_waited_for() && self.has_room(seen, claim) {
            match self.exchange(seen, seen.0 + claim.0) {
                Ok(_) => return Some(Occupancy(seen.0 + claim.0)),
                Err(now) => seen = Occupancy(now),
            }
        }
        None
    }

    /// Takes a slot for somebody who has waited for it, or goes before those who do.
    pub(crate) fn take_before_others(&self, claim: Claim) -> bool {
        let mut seen = self.occupancy();
        while self.has_room(seen, claim) {
            match self.exchange(seen, seen.0 + claim.0) {
                Ok(_) => return true,
                Err(now) => seen = Occupancy(now),
            }
        }
        false
    }

    /// Whether somebody waits while some slot is free, for it or not.
    pub(crate) fn may_be_granted(&self) -> bool {
        let seen = self.occupancy();
        seen.is_waited_for() && seen.in_flight() < seen.limit()
    }

    /// Whether such a call could get in now, if nobody waited.
    pub(crate) fn has_room_for(&self, claim: Claim) -> bool {
        self.has_room(self.occupancy(), claim)
    }

    #[inline]
    const fn has_room(&self, seen: Occupancy, claim: Claim) -> bool {
        let free = seen.in_flight() < seen.limit();
        // With none reserved the ordinary calls are bounded by all calls.
        if self.reserved == 0 || claim.0 == Claim::TOP.0 {
            return free;
        }
        free && seen.ordinary() + self.reserved < seen.limit()
    }

    /// Gives a slot back, and tells what stood there before.
    #[inline]
    pub(crate) fn give_back(&self, claim: Claim) -> Occupancy {
        Occupancy(self.word.fetch_sub(claim.0, Ordering::AcqRel))
    }

    /// From now on nobody passes those who wait.
    pub(crate) fn wait_for(&self) {
        self.word.fetch_or(WAITED_FOR, Ordering::AcqRel);
    }

    /// Nobody waits any more.
    pub(crate) fn wait_no_more(&self) {
        self.word.fetch_and(!WAITED_FOR, Ordering::AcqRel);
    }

    /// Changes the limit. Calls inside go on; while there are more of them than the new limit, nobody gets in. What is closed
    /// stays closed.
    pub(crate) fn resize(&self, limit: u32) {
        let _changing = self.changing.lock();
        self.configured.store(limit, Ordering::Release);
        let mut seen = self.occupancy();
        while !seen.is_closed() {
            let next = u64::from(limit) << LIMIT | seen.0 & !(MASK << LIMIT);
            match self.exchange(seen, next) {
                Ok(_) => return,
                Err(now) => seen = Occupancy(now),
            }
        }
    }

    /// Lets nobody in any more, and tells whether somebody could until now.
    pub(crate) fn close(&self) -> bool {
        let before = self.word.fetch_and(!(MASK << LIMIT), Ordering::AcqRel);
        !Occupancy(before).is_closed()
    }

    /// The limit as it was configured last.
    pub(crate) fn configured(&self) -> u32 {
        self.configured.load(Ordering::Acquire)
    }

    /// Asks to be told when the last call leaves, and tells what is inside at that moment.
    pub(crate) fn watch(&self) -> Occupancy {
        Occupancy(self.word.fetch_or(WATCHED, Ordering::AcqRel))
    }

    /// Nobody wants to be told any more.
    pub(crate) fn unwatch(&self) {
        self.word.fetch_and(!WATCHED, Ordering::AcqRel);
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
