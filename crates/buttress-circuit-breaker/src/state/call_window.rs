use buttress_sync::atomic::{AtomicU64, Ordering};

use super::outcome::Outcome;
use super::tally::Tally;

/// The last N settled calls of one generation: a ring that slides with every call.
///
/// Three kinds of words, each tagged with the generation that owns it, so that a call of an older generation changes
/// nothing, however late it writes:
///
/// * `head`: `generation:24 | lap:24 | position:16`, the slot that the next call takes;
/// * `slots`: `generation:24 | lap:24 | 0:14 | slow:1 | failed:1`;
/// * `sums`: `generation:22 | calls:14 | failed:14 | slow:14` over all slots.
///
/// A full ring without a failure or a slow call looks the same wherever its head is. So a good call on a good window
/// writes nothing at all: the healthy path is loads only.
#[derive(Debug)]
pub(crate) struct CallWindow {
    head: AtomicU64,
    sums: AtomicU64,
    slots: Box<[AtomicU64]>,
    /// The sums of a full window of good calls, but for the tag.
    good: u64,
}

/// The largest window, in calls: what fits the 14 bits of a sum.
pub(crate) const MOST_CALLS: u32 = 10_000;

impl CallWindow {
    pub(crate) fn new(calls: u32, generation: u32) -> Self {
        let window = Self {
            head: AtomicU64::new(0),
            sums: AtomicU64::new(0),
            slots: (0..calls).map(|_| AtomicU64::new(0)).collect(),
            good: CallSums::ZERO + (u64::from(calls) << CallSums::CALLS),
        };
        window.restart(generation);
        window
    }

    /// Starts anew for the calls of `generation`. Every slot is handed to the one before it, so that it counts as nothing, also
    /// when the tags have gone round since it was written.
    pub(crate) fn restart(&self, generation: u32) {
        let before = Head::first(generation.wrapping_sub(1)).0;
        for slot in &self.slots {
            slot.swap(before, Ordering::AcqRel);
        }
        self.sums
            .swap(CallSums::empty(generation).0, Ordering::AcqRel);
        self.head.swap(Head::first(generation).0, Ordering::AcqRel);
    }

    /// The sums over the window.
    pub(crate) fn tally(&self) -> Tally {
        CallSums(self.sums.load(Ordering::Acquire)).tally()
    }

    /// Whether one more good call would leave the window as it is.
    #[inline]
    pub(crate) fn is_full_of_good_calls(&self, generation: u32) -> bool {
        self.sums.load(Ordering::Relaxed) == CallSums::tag(generation) | self.good
    }

    /// Takes the call into the window. The sums come back when they may have reached a limit: a good call that displaces
    /// another lowers every rate.
    #[inline(always)]
    pub(crate) fn record(&self, generation: u32, outcome: Outcome) -> Option<CallSums> {
        let mark = Slot::mark(outcome);
        if mark == 0 && self.is_full_of_good_calls(generation) {
            return None;
        }
        let place = self.take_place(generation)?;
        let slot = self.slots.get(place.position())?;
        let mine = Slot::new(place, mark);
        // Most often a good call displaces the good call of the lap before.
        if mark == 0 && exchange(slot, mine.of_lap_before().0, mine.0).is_ok() {
            return None;
        }
        self.displace(slot, generation, mine)
    }

    #[inline(never)]
    fn displace(&self, slot: &AtomicU64, generation: u32, mine: Slot) -> Option<CallSums> {
        let displaced = put(slot, mine)?;
        let sums = self.adjust(generation, displaced, mine)?;
        let may_have_changed = !mine.is_good() || !displaced.is_call_of(mine);
        may_have_changed.then_some(sums)
    }

    /// Claims the next slot; places are handed out in the order in which calls settle.
    #[inline]
    fn take_place(&self, generation: u32) -> Option<Head> {
        let mut seen = Head(self.head.load(Ordering::Acquire));
        while seen.belongs_to(generation) {
            let next = seen.next(self.slots.len() as u64);
            match exchange(&self.head, seen.0, next.0) {
                Ok(_) => return Some(seen),
                Err(now) => seen = Head(now),
            }
        }
        None
    }

    /// Takes the displaced call out of the sums and the new one in.
    fn adjust(&self, generation: u32, displaced: Slot, mine: Slot) -> Option<CallSums> {
        let mut seen = CallSums(self.sums.load(Ordering::Acquire));
        while seen.belongs_to(generation) {
            let next = seen.exchanging(displaced, mine);
            if next.0 == seen.0 {
                return Some(seen);
            }
            match exchange(&self.sums, seen.0, next.0) {
                Ok(_) => return Some(next),
                Err(now) => seen = CallSums(now),
            }
        }
        None
    }
}

/// Writes the slot and returns what stood there; `None` when a later lap or generation was faster.
fn put(slot: &AtomicU64, mine: Slot) -> Option<Slot> {
    let mut seen = Slot(slot.load(Ordering::Acquire));
    while !seen.is_later_than(mine) {
        match exchange(slot, seen.0, mine.0) {
            Ok(_) => return Some(seen),
            Err(now) => seen = Slot(now),
        }
    }
    None
}

#[inline]
fn exchange(word: &AtomicU64, seen: u64, next: u64) -> Result<u64, u64> {
    word.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire)
}

const TAG_MASK: u64 = (1 << 24) - 1;

/// A place in the ring: `generation:24 | lap:24 | position:16`.
#[derive(Clone, Copy)]
struct Head(u64);

impl Head {
    const fn first(generation: u32) -> Self {
        Self((generation as u64 & TAG_MASK) << 40)
    }

    const fn belongs_to(self, generation: u32) -> bool {
        self.0 >> 40 == generation as u64 & TAG_MASK
    }

    const fn lap(self) -> u64 {
        self.0 >> 16 & TAG_MASK
    }

    const fn position(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    const fn next(self, size: u64) -> Self {
        let generation = self.0 >> 40;
        let position = (self.0 & 0xffff) + 1;
        if position < size {
            return Self(self.0 + 1);
        }
        Self(generation << 40 | ((self.lap() + 1) & TAG_MASK) << 16)
    }
}

/// What stands in a slot: `generation:24 | lap:24 | 0:14 | slow:1 | failed:1`.
#[derive(Clone, Copy)]
struct Slot(u64);

impl Slot {
    const FAILED: u64 = 1;
    const SLOW: u64 = 2;

    const fn mark(outcome: Outcome) -> u64 {
        (outcome.failed() as u64 * Self::FAILED) | (outcome.slow() as u64 * Self::SLOW)
    }

    const fn new(place: Head, mark: u64) -> Self {
        Self(place.0 & !0xffff | mark)
    }

    const fn generation(self) -> u64 {
        self.0 >> 40
    }

    /// Whether a call of the same generation stands here.
    #[inline]
    const fn is_call_of(self, other: Self) -> bool {
        self.generation() == other.generation()
    }

    #[inline]
    const fn is_good(self) -> bool {
        self.0 & (Self::FAILED | Self::SLOW) == 0
    }

    /// The same, one lap earlier; of no lap at all when this is the first.
    #[inline]
    const fn of_lap_before(self) -> Self {
        Self(self.0.wrapping_sub(1 << 16))
    }

    /// Whether this was written by a later lap of the same generation, or by a later generation. Both wrap.
    const fn is_later_than(self, other: Self) -> bool {
        let generations = self.generation().wrapping_sub(other.generation()) & TAG_MASK;
        let laps = (self.0 >> 16).wrapping_sub(other.0 >> 16) & TAG_MASK;
        let lead = if generations == 0 { laps } else { generations };
        lead != 0 && lead < TAG_MASK / 2
    }

    const fn failed(self) -> u64 {
        self.0 & Self::FAILED
    }

    const fn slow(self) -> u64 {
        (self.0 & Self::SLOW) / Self::SLOW
    }
}

/// The sums over the ring: `generation:22 | calls:14 | failed:14 | slow:14`.
///
/// A call takes what it displaces out of the sums, perhaps before the displaced call has put itself in. So every field is
/// biased: it may fall below zero for as long as such calls take to finish, without borrowing from its neighbour.
#[derive(Clone, Copy)]
pub(crate) struct CallSums(u64);

impl CallSums {
    const CALLS: u32 = 28;
    const FAILED: u32 = 14;
    const FIELD: u64 = (1 << 14) - 1;
    const TAG: u64 = (1 << 22) - 1;
    const BIAS: u64 = 2048;
    const ZERO: u64 = Self::BIAS << Self::CALLS | Self::BIAS << Self::FAILED | Self::BIAS;

    #[inline]
    const fn tag(generation: u32) -> u64 {
        (generation as u64 & Self::TAG) << 42
    }

    const fn empty(generation: u32) -> Self {
        Self(Self::tag(generation) | Self::ZERO)
    }

    const fn belongs_to(self, generation: u32) -> bool {
        self.0 >> 42 == generation as u64 & Self::TAG
    }

    pub(crate) const fn tally(self) -> Tally {
        Tally {
            calls: (self.0 >> Self::CALLS & Self::FIELD).saturating_sub(Self::BIAS),
            failed: (self.0 >> Self::FAILED & Self::FIELD).saturating_sub(Self::BIAS),
            slow: (self.0 & Self::FIELD).saturating_sub(Self::BIAS),
        }
    }

    const fn exchanging(self, displaced: Slot, mine: Slot) -> Self {
        let taken_in = Self(self.0 + (mine.failed() << Self::FAILED) + mine.slow());
        if displaced.is_call_of(mine) {
            Self(taken_in.0 - (displaced.failed() << Self::FAILED) - displaced.slow())
        } else {
            Self(taken_in.0 + (1 << Self::CALLS))
        }
    }
}
