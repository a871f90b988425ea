//! A sliding window that many threads share: in no window at all are more units than its limit.

use buttress_sync::Mutex;
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_timer::Moment;

mod change;
mod head;
mod lay;
mod look;
mod past;
mod receipt;
mod rounds;
mod shape;
mod slot;
mod stamp;

#[cfg(all(test, buttress_loom))]
#[expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]
mod loom_tests;
#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests may fail a test, and say what it has met"
)]
mod tests;

use self::head::Head;
use self::past::Past;
pub(crate) use self::receipt::{Due, Receipt};
#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
use self::shape::MOST_WIDTH;
use self::shape::Shape;
pub(crate) use self::shape::{BUCKETED, MOST_SLOTS};
use self::slot::{Slot, Turn};
use super::bucket::{Level, Wait, clock};

/// The last units, in a ring of slots.
///
/// Each slot has room for so many units that any S slots in a row, S being the length of the ring, have room for the limit. It
/// knows when it was used last. Units are taken from one slot after the other, and a slot is used anew once its last use lies a
/// window back: all units in between then fit the S slots in a row that they came from. With one unit to a slot this is a log of
/// all units; with more of them the units of a slot leave the window together.
///
/// *Many threads.* Who takes units (1) finds the slots they would come from, and looks whether those have left the window;
/// (2) stamps them with its time, or a later one that stands there or in the slot before; (3) moves the head. So what a slot says
/// is never earlier than any unit in it, and times never fall along the ring, whoever comes when. A slot that was stamped for a
/// round of the ring was looked at for that round: if its units are not taken after all, the next one need not look again. A unit
/// counts as of the stamp that its taker saw, which lies between its reading of the clock and its return: of those moments never
/// more than the limit lie in one window. A refusal writes nothing.
///
/// *What coarse slots cost.* A unit stays as long as the last one of its slot, so up to one slot's units, less one, may be held that
/// have left the window. A client at an even rate is never refused up to `limit - units of a slot + 1` in a window: 64/65 of the
/// limit with 64 slots, all of it with one unit to a slot.
#[derive(Debug)]
pub(crate) struct Window {
    head: AtomicU64,
    width: AtomicU64,
    shape: AtomicU64,
    slots: Box<[AtomicU64]>,
    /// When the units left the head's slot that it held in the round before, less a window, if a charge came before that: until then
    /// what the charge did not take of the slot is not free either. Said by a flag of the head.
    held: AtomicU64,
    /// Held while the ring is changed by something else than taking and giving back.
    changing: Mutex<Past>,
}

/// Why an attempt came to nothing.
enum Miss {
    /// Something has changed meanwhile.
    Stale,
    Refused(Wait),
}

impl Window {
    /// A ring of so many slots, or as many as the limit if that is less, from which nothing was taken before now. As long as the limit
    /// is no larger than `slots`, each unit has its own.
    pub(crate) fn new(limit: u32, width: u64, slots: u32, now: Moment) -> Self {
        let slots = slots.clamp(1, MOST_SLOTS);
        let shape = Shape::new(limit, width, slots);
        let first = Slot::FREE.bits();
        Self {
            head: AtomicU64::new(Head::FIRST.bits()),
            width: AtomicU64::new(shape.width()),
            shape: AtomicU64::new(shape.bits()),
            slots: (0..slots).map(|_| AtomicU64::new(first)).collect(),
            held: AtomicU64::new(0),
            changing: Mutex::new(Past::new(clock(now))),
        }
    }

    /// Takes so many units if that leaves no window with more than the limit.
    #[inline]
    pub(crate) fn take(&self, units: u32, now: Moment) -> Result<Receipt, Wait> {
        let now = clock(now);
        loop {
            let head = self.open_head();
            match self.attempt(head, units, now) {
                Ok(next) if self.exchange(head, next) => return Ok(Receipt::new(next, units)),
                Ok(_) => {}
                Err(miss) => self.confirm(head, &miss)?,
            }
        }
    }

    /// A refusal counts if the ring was the same from the first to the last look at it.
    #[cold]
    fn confirm(&self, head: Head, miss: &Miss) -> Result<(), Wait> {
        match *miss {
            Miss::Refused(wait) if self.load() == head => Err(wait),
            _ => Ok(()),
        }
    }

    /// Where the head would stand, all slots up to there stamped.
    #[inline]
    fn attempt(&self, head: Head, units: u32, now: u64) -> Result<Head, Miss> {
        let shape = self.shape();
        let seen = self.slot(head)?;
        // The usual case of coarse slots: the one in use has room.
        let rest = self.rest(shape, head, seen, now);
        if units <= rest {
            if units > 0 {
                self.stamp(head, seen, now)?;
            }
            return Ok(head.plus(units));
        }
        if rest == 0 && !head.is_held() {
            let next = head.next(shape.slots());
            if units <= shape.units(next.place()) {
                return self.take_next(shape, next, seen, units, now);
            }
        }
        self.take_several(shape, (head, seen, rest), units, now)
    }

    /// The usual case of a slot to each unit: all of them come from the next one, and nothing from the one in use.
    #[inline]
    fn take_next(
        &self,
        shape: Shape,
        next: Head,
        in_use: Slot,
        units: u32,
        now: u64,
    ) -> Result<Head, Miss> {
        let seen = self.slot(next)?;
        if seen.turn(next) == Turn::Before && !seen.has_left(shape, now) {
            let wait = seen.leaves_after(shape, now);
            return Err(Miss::Refused(Wait::After(wait)));
        }
        let time = now.max(in_use.time());
        let started = self.start(next, time, shape.frees())?;
        if started.turn(next) == Turn::Later {
            return self.take_several(shape, (next, started, 0), units, now);
        }
        Ok(next.plus(units))
    }

    #[inline(never)]
    fn take_several(
        &self,
        shape: Shape,
        from: (Head, Slot, u32),
        units: u32,
        now: u64,
    ) -> Result<Head, Miss> {
        let (head, seen, _) = from;
        self.look(shape, head, seen, units, now)?;
        self.advance(shape, from, units, now, shape.frees())
    }

    #[inline]
    fn slot(&self, at: Head) -> Result<Slot, Miss> {
        let cell = self.slots.get(at.place()).ok_or(Miss::Stale)?;
        Ok(Slot::from_bits(cell.load(Ordering::Acquire)))
    }

    /// Half of an old shape and half of a new one perhaps; then the head has changed when it is exchanged.
    #[inline]
    fn shape(&self) -> Shape {
        Shape::read(
            self.width.load(Ordering::Acquire),
            self.shape.load(Ordering::Acquire),
        )
    }

    #[inline]
    fn load(&self) -> Head {
        Head::from_bits(self.head.load(Ordering::Acquire))
    }

    /// The head, once nobody changes the ring.
    #[inline]
    fn open_head(&self) -> Head {
        let head = self.load();
        if head.is_changing() {
            self.wait_for_change()
        } else {
            head
        }
    }

    #[cold]
    fn wait_for_change(&self) -> Head {
        loop {
            drop(self.changing.lock());
            let head = self.load();
            if !head.is_changing() {
                return head;
            }
        }
    }

    #[inline]
    fn exchange(&self, seen: Head, next: Head) -> bool {
        self.head
            .compare_exchange(
                seen.bits(),
                next.bits(),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok()
    }
}
