//! Who climbs: a word `ladder:32 | of all ladders:16 | of this one:16`.

/// Calls that may take longer than others, to see what those would take that are cut.
///
/// Each time that something was found out another ladder stands. Those who still climb the one before, because they hang, take no place
/// from those who climb this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climbers {
    pub(super) ladder: u32,
    pub(super) all: u64,
    pub(super) here: u64,
}

const BITS: u32 = 16;
const MASK: u64 = (1 << BITS) - 1;

impl Climbers {
    pub(super) const fn of(word: u64) -> Self {
        Self {
            ladder: (word >> (2 * BITS)) as u32,
            all: word >> BITS & MASK,
            here: word & MASK,
        }
    }

    pub(super) const fn word(self) -> u64 {
        (self.ladder as u64) << (2 * BITS) | self.all << BITS | self.here
    }

    pub(super) const fn and_one(self) -> Self {
        Self {
            all: self.all + 1,
            here: self.here + 1,
            ..self
        }
    }

    pub(super) const fn without_one(self, ladder: u32) -> Self {
        let is_here = ladder == self.ladder;
        Self {
            all: self.all.saturating_sub(1),
            here: self.here.saturating_sub(if is_here { 1 } else { 0 }),
            ..self
        }
    }

    pub(super) const fn on_the_next(self) -> Self {
        Self {
            ladder: self.ladder.wrapping_add(1),
            here: 0,
            ..self
        }
    }
}
