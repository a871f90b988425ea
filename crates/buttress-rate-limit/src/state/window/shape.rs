use super::head::MOST_UNITS;

/// How long a window is, and how its limit is spread over the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    width: u64,
    /// `units:27 | slots:15 | more:15`: so many units to a slot, and one more in so many of them, the first ones.
    spread: u64,
}

/// The most slots of a ring.
pub(crate) const MOST_SLOTS: u32 = 10_000;
/// The slots of a ring that shares them among many units.
pub(crate) const BUCKETED: u32 = 64;
/// The longest window: nine years. That long after the end of the clock still fits a word.
pub(crate) const MOST_WIDTH: u64 = 1 << 58;

const COUNT: u32 = 15;
const COUNTS: u64 = (1 << COUNT) - 1;
const UNITS: u32 = 2 * COUNT;

impl Shape {
    /// Spreads the limit over as many slots as it has units, at most over so many. What is too small or too large is as small or as
    /// large as possible.
    pub(super) fn new(limit: u32, width: u64, most_slots: u32) -> Self {
        let slots = u64::from(limit.min(most_slots).max(1));
        let limit = u64::from(limit).clamp(1, slots.saturating_mul(MOST_UNITS));
        let (units, more) = (limit / slots, limit % slots);
        Self {
            width: width.clamp(1, MOST_WIDTH),
            spread: units << UNITS | slots << COUNT | more,
        }
    }

    /// What stood in the words of a window. They may be of two shapes; whoever uses them finds that out.
    #[inline]
    pub(super) const fn read(width: u64, spread: u64) -> Self {
        Self { width, spread }
    }

    #[inline]
    pub(super) const fn bits(self) -> u64 {
        self.spread
    }

    #[inline]
    pub(super) const fn width(self) -> u64 {
        self.width
    }

    #[inline]
    pub(super) const fn slots(self) -> usize {
        (self.spread >> COUNT & COUNTS) as usize
    }

    /// The units that a slot has room for.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "27 bits fit")]
    pub(super) const fn units(self, place: usize) -> u32 {
        let more = (place as u64) < (self.spread & COUNTS);
        (self.spread >> UNITS) as u32 + more as u32
    }

    /// The units that all slots before a place have room for.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the limit, which fits, is the most that can come out"
    )]
    pub(super) const fn units_before(self, place: usize) -> u32 {
        let (place, more) = (place as u64, self.spread & COUNTS);
        let more = if place < more { place } else { more };
        (place * (self.spread >> UNITS) + more) as u32
    }

    /// The units that so many slots after a place have room for, at most all of them.
    pub(super) const fn units_after(self, place: usize, count: usize) -> u32 {
        let (first, end) = (place + 1, place + 1 + count);
        let wrapped = end.saturating_sub(self.slots());
        let up_to_the_end = self.units_before(end - wrapped);
        let units = up_to_the_end.saturating_sub(self.units_before(first));
        units.saturating_add(self.units_before(wrapped))
    }

    /// How many slots after a place it takes to have room for so many units.
    pub(super) const fn slots_for(self, place: usize, units: u32) -> usize {
        let (mut few, mut enough) = (0, self.slots());
        while few + 1 < enough {
            let middle = few.midpoint(enough);
            if self.units_after(place, middle) < units {
                few = middle;
            } else {
                enough = middle;
            }
        }
        enough
    }

    pub(super) const fn limit(self) -> u32 {
        self.units_before(self.slots())
    }
}
