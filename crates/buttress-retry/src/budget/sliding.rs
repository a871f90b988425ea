//! The budget that is a share of a sliding window, and never more.

use std::time::Duration;

use buttress_sync::Mutex;
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_timer::{Moment, nanos};

/// Lets a retry go only if the retries of the trailing window, this one included, are at most a share of its first attempts.
///
/// The window is counted in slots of a 64th. A slot that is only partly in it is rounded against the retry: its first attempts
/// are out, its retries in. First attempts write one word and take no lock; retries are counted under one, so that checking and
/// taking are one step.
#[derive(Debug)]
pub(crate) struct Sliding {
    first_attempts: [AtomicU64; RING],
    retries: Mutex<Retries>,
    /// The length of a slot, in nanoseconds.
    slot: u64,
    /// The share, in millionths.
    share: u32,
}

/// The retries of each slot, under the number of the slot that they are of.
#[derive(Debug)]
struct Retries {
    counts: [(u64, u64); RING],
    newest: u64,
}

/// A word of first attempts: `slot:40 | count:24`. 2^40 slots of the shortest kind are 34 years; a count that is full stays so,
/// against the retry.
#[derive(Clone, Copy)]
struct Slot {
    number: u64,
    count: u64,
}

/// Slots that lie in the window as a whole.
const WHOLE_SLOTS: u64 = 64;
/// Slots that may have a part in it: two more, as the window starts inside of one and is not a multiple of 64 ns.
const PARTIAL_SLOTS: u64 = WHOLE_SLOTS + 2;
const RING: usize = 66;
const COUNT_BITS: u32 = 24;
const FULL: u64 = (1 << COUNT_BITS) - 1;
const MILLION: u64 = 1_000_000;

impl Slot {
    const fn of(word: u64) -> Self {
        Self {
            number: word >> COUNT_BITS,
            count: word & FULL,
        }
    }

    const fn word(self) -> u64 {
        self.number << COUNT_BITS | self.count
    }
}

impl Sliding {
    pub(crate) fn new(share: u32, window: Duration) -> Self {
        Self {
            first_attempts: std::array::from_fn(|_| AtomicU64::new(0)),
            retries: Mutex::new(Retries {
                counts: [(0, 0); RING],
                newest: 0,
            }),
            slot: (nanos(window) / WHOLE_SLOTS).max(1),
            share,
        }
    }

    /// Notes a first attempt. One that comes too late for its slot is not counted.
    pub(crate) fn requested(&self, now: Moment) {
        let number = self.number(now);
        let Some(word) = self.first_attempts.get(place(number)) else {
            return;
        };
        let count = |word| {
            let slot = Slot::of(word);
            match slot.number.cmp(&number) {
                std::cmp::Ordering::Less => Some(Slot { number, count: 1 }.word()),
                std::cmp::Ordering::Equal if slot.count < FULL => Some(word + 1),
                _ => None,
            }
        };
        let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, count);
    }

    /// Takes a retry, if the window has room for it, and gives the number of the slot in which it was counted.
    pub(crate) fn take(&self, now: Moment) -> Option<u64> {
        let mut retries = self.retries.lock();
        let number = retries.advance(self.number(now));
        if !self.has_room(&retries, number) {
            return None;
        }
        let (of, count) = retries.counts.get_mut(place(number))?;
        if *of != number {
            (*of, *count) = (number, 0);
        }
        *count += 1;
        Some(number)
    }

    /// Gives back a retry that was not sent.
    pub(crate) fn give_back(&self, number: u64) {
        let mut retries = self.retries.lock();
        if let Some((of, count)) = retries.counts.get_mut(place(number))
            && *of == number
        {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether a retry would be let go.
    pub(crate) fn has_some(&self, now: Moment) -> bool {
        let mut retries = self.retries.lock();
        let number = retries.advance(self.number(now));
        self.has_room(&retries, number)
    }

    fn has_room(&self, retries: &Retries, now: u64) -> bool {
        let spent = retries.since(now.saturating_sub(PARTIAL_SLOTS - 1)) + 1;
        let earned = self.first_attempts_since(now.saturating_sub(WHOLE_SLOTS - 1), now);
        spent.saturating_mul(MILLION) <= earned.saturating_mul(self.share.into())
    }

    fn first_attempts_since(&self, oldest: u64, newest: u64) -> u64 {
        self.first_attempts
            .iter()
            .map(|word| Slot::of(word.load(Ordering::Acquire)))
            .filter(|slot| (oldest..=newest).contains(&slot.number))
            .map(|slot| slot.count)
            .sum()
    }

    /// The number of a slot; none is zero, which stands for "never".
    fn number(&self, now: Moment) -> u64 {
        now.nanos() / self.slot + 1
    }
}

impl Retries {
    /// Goes on to this slot; a caller that looked at the clock earlier is taken along.
    fn advance(&mut self, number: u64) -> u64 {
        self.newest = self.newest.max(number);
        self.newest
    }

    fn since(&self, oldest: u64) -> u64 {
        let in_window = self.counts.iter().filter(|(number, _)| *number >= oldest);
        in_window.map(|(_, count)| count).sum()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a remainder below the length of the ring"
)]
const fn place(number: u64) -> usize {
    (number % RING as u64) as usize
}
