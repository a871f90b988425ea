use super::super::bucket::LATEST;
use super::head::Head;
use super::shape::Shape;

/// When the units of a slot were taken, at the latest, and for which round of the ring it was started last.
///
/// `time:60 | salt:2 | round:2`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u64);

/// For which round a slot was started, seen from a place of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// For the round before: its units are in the window, or have left it.
    Before,
    /// For this one.
    This,
    /// For a later one. All units of this round have left the window.
    Later,
    /// It is of another generation.
    Foreign,
}

const MARK: u32 = 4;
const _: () = assert!(LATEST << MARK >> MARK == LATEST);

impl Slot {
    /// Started for the first round, never used.
    pub(super) const FREE: Self = Self(0);

    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// When it was used last, or later.
    #[inline]
    pub(super) const fn time(self) -> u64 {
        self.0 >> MARK
    }

    #[inline]
    pub(super) const fn turn(self, at: Head) -> Turn {
        let (mark, expected) = (self.0 & 0b1111, at.mark());
        if mark == expected {
            Turn::This
        } else if (mark ^ expected) & 0b1100 != 0 {
            Turn::Foreign
        } else if mark.wrapping_sub(expected) & 0b11 == 0b11 {
            Turn::Before
        } else {
            Turn::Later
        }
    }

    /// The same at another time.
    #[inline]
    pub(super) const fn at(self, time: u64) -> Self {
        Self(time << MARK | self.0 & 0b1111)
    }

    /// Started for this round, no earlier than it was used before.
    #[inline]
    pub(super) const fn anew(self, at: Head, time: u64) -> Self {
        let time = if time > self.time() {
            time
        } else {
            self.time()
        };
        Self(time << MARK | at.mark())
    }

    /// The nanoseconds until its units have left the window.
    #[inline]
    pub(super) const fn leaves_after(self, shape: Shape, now: u64) -> u64 {
        (self.time() + shape.width()).saturating_sub(now)
    }

    /// Whether its units have left the window.
    #[inline]
    pub(super) const fn has_left(self, shape: Shape, now: u64) -> bool {
        self.time() + shape.width() <= now
    }

    /// How many units the slot in use has room for. What is used of it stays in the window as long as what is added: so when it has
    /// left already, the next slot is better, and all of them are free.
    #[inline]
    pub(super) fn rest(self, head: Head, shape: Shape, now: u64) -> u32 {
        let is_over = self.has_left(shape, now) && head.used() > 0;
        if self.turn(head) != Turn::This || is_over {
            return 0;
        }
        shape.units(head.place()).saturating_sub(head.used())
    }

    /// How many units a slot has room for that comes after the one in use.
    #[inline]
    pub(super) fn room(self, at: Head, shape: Shape) -> u32 {
        if self.turn(at) == Turn::Later {
            0
        } else {
            shape.units(at.place())
        }
    }
}

impl Shape {
    /// Allows the use of slots that have left the window.
    #[inline]
    pub(super) fn frees(self) -> impl Fn(Head, Slot, u64) -> bool + Copy {
        move |_, slot, time| slot.has_left(self, time)
    }
}
