/// Where the next unit is taken from: a slot, by its place in the ring and the round of the ring, and how many of its units are
/// taken.
///
/// `round:16 | generation:5 | held:1 | changing:1 | place:14 | used:27`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head(u64);

const USED: u32 = 27;
const PLACE: u32 = 14;
const CHANGING: u64 = 1 << (USED + PLACE);
const HELD: u64 = CHANGING << 1;
const GENERATION_AT: u32 = USED + PLACE + 2;
const GENERATIONS: u64 = (1 << 5) - 1;
const ROUND: u32 = 48;

/// The most units that a slot has room for.
pub(super) const MOST_UNITS: u64 = (1 << USED) - 1;

impl Head {
    /// The first unit of the first slot, which was started for this round.
    pub(super) const FIRST: Self = Self(0);

    /// No place of a ring that anybody takes from.
    pub(super) const NOWHERE: Self = Self(u64::MAX);

    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) const fn used(self) -> u32 {
        (self.0 & MOST_UNITS) as u32
    }

    #[inline]
    pub(super) const fn place(self) -> usize {
        (self.0 >> USED & ((1 << PLACE) - 1)) as usize
    }

    /// `salt:2 | round:2`: how a slot that was started for this round is marked. The salt is of the generation, so that nobody takes
    /// a slot for the one it was before the ring was laid anew.
    #[inline]
    pub(super) const fn mark(self) -> u64 {
        (self.0 >> (GENERATION_AT - 2) & 0b1100) | (self.0 >> ROUND & 0b11)
    }

    /// Whether the ring is being changed: nobody takes from it now.
    #[inline]
    pub(super) const fn is_changing(self) -> bool {
        self.0 & CHANGING != 0
    }

    /// What sets `is_changing`.
    pub(super) const CHANGING: u64 = CHANGING;

    pub(super) const fn open(self) -> Self {
        Self(self.0 & !CHANGING)
    }

    /// Whether the rest of the slot is not free before a time that is said elsewhere.
    #[inline]
    pub(super) const fn is_held(self) -> bool {
        self.0 & HELD != 0
    }

    pub(super) const fn hold(self) -> Self {
        Self(self.0 | HELD)
    }

    /// So many units further on, in the same slot.
    #[inline]
    pub(super) const fn plus(self, units: u32) -> Self {
        Self(self.0 + units as u64)
    }

    /// So many units back, in the same slot.
    pub(super) const fn minus(self, units: u32) -> Self {
        Self(
            self.0
                - if units < self.used() {
                    units
                } else {
                    self.used()
                } as u64,
        )
    }

    /// The slot after, in a ring of so many; nothing of it is used.
    #[inline]
    pub(super) const fn next(self, slots: usize) -> Self {
        let start = self.0 & !MOST_UNITS & !HELD;
        if self.place() + 1 < slots {
            Self(start + (1 << USED))
        } else {
            Self((start & !PLACES).wrapping_add(1 << ROUND))
        }
    }

    /// The slot before, in a ring of so many; nothing of it is used.
    pub(super) const fn previous(self, slots: usize) -> Self {
        let start = self.0 & !MOST_UNITS & !HELD;
        if self.place() > 0 {
            Self(start - (1 << USED))
        } else {
            Self((start | (slots as u64 - 1) << USED).wrapping_sub(1 << ROUND))
        }
    }

    /// The first slot of the ring that takes the place of this one. It is in a round of its own too: generations are few.
    pub(super) const fn laid_anew(self) -> Self {
        let generation = (self.0 >> GENERATION_AT & GENERATIONS).wrapping_add(1) & GENERATIONS;
        let round = (self.0 >> ROUND << ROUND).wrapping_add(1 << ROUND);
        Self(round | generation << GENERATION_AT | self.0 & CHANGING)
    }

    /// So many slots further on, at most once round a ring of so many; nothing of it is used.
    pub(super) const fn ahead(self, count: usize, slots: usize) -> Self {
        let place = self.place() + count;
        let start = self.0 & !MOST_UNITS & !HELD & !PLACES;
        if place < slots {
            Self(start | (place as u64) << USED)
        } else {
            Self((start | ((place - slots) as u64) << USED).wrapping_add(1 << ROUND))
        }
    }

    /// After so many rounds they are counted anew.
    pub(super) const ROUNDS: u64 = 1 << (u64::BITS - ROUND);

    /// How many rounds there were since, as far as they are counted.
    pub(super) const fn rounds_since(self, first: Self) -> u64 {
        (self.0 >> ROUND).wrapping_sub(first.0 >> ROUND) % Self::ROUNDS
    }

    /// Whether both are of the same ring, not laid anew between them.
    pub(super) const fn is_of_generation(self, other: Self) -> bool {
        (self.0 ^ other.0) >> GENERATION_AT & GENERATIONS == 0
    }

    /// Whether both stand in the same slot of the same round.
    pub(super) const fn is_in_slot_of(self, other: Self) -> bool {
        (self.0 ^ other.0) & !MOST_UNITS & !HELD == 0
    }
}

const PLACES: u64 = ((1 << PLACE) - 1) << USED;
