use std::array;
use std::fmt;
use std::time::Duration;

use crate::CensoredSnapshot;

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests;

/// Remembers the durations of the last while, and as many older ones as make a number worth judging by.
///
/// It keeps all that was added less than `(SLOTS - 1) * width` ago, and the last `(SLOTS - 1) * least` whenever they were added:
/// whichever reaches further back. What is older than both it keeps for as long as it shares one of the `SLOTS` slots with the
/// oldest of those, and no longer: that is what came less than `width` before it, or fewer than `least` durations. So in steady
/// traffic it covers `SLOTS - 1` to `SLOTS` times `width`, after a silence only so much from before as is needed, and with
/// nothing new it forgets nothing of what it still needs.
///
/// A slot takes what is added from its first on for `width`, and longer until it has `least`. The oldest is forgotten when all
/// in it is as old as `(SLOTS - 1) * width` and the others hold `(SLOTS - 1) * least`, at the next [`add`](Self::add).
///
/// It has no clock: time is what the caller says has passed since a start of the caller's choice. Nothing is allocated, and it
/// never grows: 3336 bytes for each slot and 48 more. Two slots are the fewest; one does not compile.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use buttress_histogram::{CensoredHistogram, Horizon};
///
/// let calls = CensoredHistogram::new();
/// // The last 2 to 3 s, or as long ago as it takes to have 20.
/// let mut lately = Horizon::<3>::new(Duration::from_secs(1), 10);
/// for second in 0..60 {
///     (0..100).for_each(|_| calls.record(Duration::from_millis(5)));
///     lately.add(Duration::from_secs(second), &calls.drain());
/// }
/// assert_eq!(lately.sum().count(), 200);
///
/// // An hour of silence later, the old ones are all there is.
/// calls.record(Duration::from_millis(7));
/// lately.add(Duration::from_secs(3600), &calls.drain());
/// assert_eq!(lately.sum().count(), 101);
/// ```
pub struct Horizon<const SLOTS: usize> {
    /// Filled one after the other, around and around: after the current one comes the oldest, or an empty one.
    slots: [Slot; SLOTS],
    current: usize,
    now: Duration,
    width: Duration,
    least: u32,
}

impl<const SLOTS: usize> Horizon<SLOTS> {
    /// All but one of the slots.
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 65 536")]
    const OTHERS: u32 = {
        assert!(SLOTS >= 2, "a horizon has two slots or more");
        assert!(SLOTS <= 1 << 16, "a horizon has 65 536 slots or fewer");
        (SLOTS - 1) as u32
    };

    /// Starts with nothing in it. Any `width` and any `least` will do; with both zero it keeps nothing.
    #[must_use]
    pub fn new(width: Duration, least: u32) -> Self {
        Self {
            slots: array::from_fn(|_| Slot::default()),
            current: 0,
            now: Duration::ZERO,
            width,
            least,
        }
    }

    /// Adds what was recorded lately, all of it as of `now`, and forgets what is too old by then.
    ///
    /// A `now` before the last one counts as the last one. With nothing recorded it only forgets.
    pub fn add(&mut self, now: Duration, recorded: &CensoredSnapshot) {
        self.now = self.now.max(now);
        if recorded.count() > 0 {
            self.turn();
            if let Some(current) = self.slots.get_mut(self.current) {
                current.add(self.now, recorded);
            }
        }
        self.forget();
    }

    /// All that is kept, as if one snapshot had it.
    #[must_use]
    pub fn sum(&self) -> CensoredSnapshot {
        let mut sum = CensoredSnapshot::new();
        let kept = self.slots.iter().filter(|slot| slot.count > 0);
        kept.for_each(|slot| sum.merge(&slot.recorded));
        sum
    }

    /// Forgets everything but the time.
    pub fn clear(&mut self) {
        self.slots.iter_mut().for_each(Slot::clear);
    }

    /// Goes on to the next slot when the current one has all that it takes.
    fn turn(&mut self) {
        let least = u64::from(self.least);
        let is_full =
            |slot: &Slot| slot.count >= least && self.now.saturating_sub(slot.first) >= self.width;
        if !self.slots.get(self.current).is_some_and(is_full) {
            return;
        }
        // If it is still in use it is the oldest, and due to be forgotten: all the others have their time and their number.
        self.current = (self.current + 1) % SLOTS;
        if let Some(oldest) = self.slots.get_mut(self.current) {
            oldest.clear();
        }
    }

    fn forget(&mut self) {
        let reach = self.width.saturating_mul(Self::OTHERS);
        let needed = u64::from(self.least) * u64::from(Self::OTHERS);
        let mut kept: u64 = self.slots.iter().map(|slot| slot.count).sum();
        for from_oldest in 1..=SLOTS {
            let place = (self.current + from_oldest) % SLOTS;
            let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.count > 0) else {
                continue;
            };
            kept -= slot.count;
            if kept < needed || self.now.saturating_sub(slot.last) < reach {
                return;
            }
            slot.clear();
        }
    }
}

impl<const SLOTS: usize> fmt::Debug for Horizon<SLOTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Horizon")
            .field("now", &self.now)
            .field("width", &self.width)
            .field("least", &self.least)
            .field("kept", &self.sum())
            .finish()
    }
}

/// What was added from one time to another; empty when the count is zero.
#[derive(Default)]
struct Slot {
    recorded: CensoredSnapshot,
    /// As many as are in `recorded`.
    count: u64,
    first: Duration,
    last: Duration,
}

impl Slot {
    fn add(&mut self, now: Duration, recorded: &CensoredSnapshot) {
        if self.count == 0 {
            self.first = now;
        }
        self.last = now;
        self.recorded.merge(recorded);
        self.count = self.recorded.count();
    }

    fn clear(&mut self) {
        if self.count > 0 {
            *self = Self::default();
        }
    }
}
