use buttress_sync::atomic::Ordering;
use buttress_timer::Moment;

use super::head::Head;
use super::shape::{MOST_WIDTH, Shape};
use super::{Level, Miss, Slot, Turn, Wait, Window, clock};

/// What can be seen without changing anything.
impl Window {
    /// Whether so many units could be taken; takes none.
    pub(crate) fn check(&self, units: u32, now: Moment) -> Result<(), Wait> {
        let now = clock(now);
        loop {
            let head = self.open_head();
            let seen = self.slot(head);
            match seen.and_then(|seen| self.look(self.shape(), head, seen, units, now)) {
                Ok(()) => return Ok(()),
                Err(miss) => self.confirm(head, &miss)?,
            }
        }
    }

    /// Whether the slots that so many units would come from have left the window.
    #[inline]
    pub(super) fn look(
        &self,
        shape: Shape,
        head: Head,
        seen: Slot,
        units: u32,
        now: u64,
    ) -> Result<(), Miss> {
        if units > shape.limit() {
            return Err(Miss::Refused(Wait::Never));
        }
        let rest = seen.rest(head, shape, now);
        let is_held = head.is_held() && rest > 0 && units > 0;
        let mut wait = if is_held {
            self.held_for(shape, now)
        } else {
            0
        };
        let (mut at, mut left) = (head, units - rest.min(units));
        if left > 0
            && let Some(more) = self.last_leaves_after(shape, head, left, now)
        {
            return Err(Miss::Refused(Wait::After(wait.max(more))));
        }
        while left > 0 {
            at = at.next(shape.slots());
            let slot = self.slot(at)?;
            match slot.turn(at) {
                Turn::Before => wait = wait.max(slot.leaves_after(shape, now)),
                Turn::This | Turn::Later => {}
                Turn::Foreign => return Err(Miss::Stale),
            }
            left = left.saturating_sub(slot.room(at, shape));
        }
        if wait == 0 {
            Ok(())
        } else {
            Err(Miss::Refused(Wait::After(wait)))
        }
    }

    /// The nanoseconds until the last of the slots has left the window that so many units would come from, if it has not.
    ///
    /// Times do not fall along the ring, so it is the last to leave, and nobody needs to look at those before it. Only when the head
    /// went back before slots that were started for a later round have some of them no room; these follow right after the head.
    fn last_leaves_after(&self, shape: Shape, head: Head, units: u32, now: u64) -> Option<u64> {
        let slots = shape.slots();
        let first = head.next(slots);
        let count = if units <= shape.units(first.place()) {
            1
        } else {
            let starts_later = self.slot(first).ok()?.turn(first) == Turn::Later;
            if starts_later {
                return None;
            }
            shape.slots_for(head.place(), units)
        };
        let last = head.ahead(count, slots);
        let slot = self.slot(last).ok()?;
        let wait = slot.leaves_after(shape, now);
        (slot.turn(last) == Turn::Before && wait > 0).then_some(wait)
    }

    /// How many units are free of the slot in use.
    #[inline]
    pub(super) fn rest(&self, shape: Shape, head: Head, slot: Slot, now: u64) -> u32 {
        if head.is_held() && self.held_for(shape, now) > 0 {
            return 0;
        }
        slot.rest(head, shape, now)
    }

    /// The nanoseconds until the rest of the slot is free that a charge has started.
    #[cold]
    fn held_for(&self, shape: Shape, now: u64) -> u64 {
        let held = self.held.load(Ordering::Acquire);
        (held + shape.width()).saturating_sub(now)
    }

    /// The limit in force.
    pub(crate) fn limit(&self) -> u32 {
        self.steady(|shape, _| shape.limit())
    }

    /// The nanoseconds that the window is long.
    pub(crate) fn width(&self) -> u64 {
        self.steady(|shape, _| shape.width())
    }

    /// Whether nothing is in the window: it cannot be told from a new one.
    pub(crate) fn is_clean(&self, now: Moment) -> bool {
        self.level(now).clear_after == 0
    }

    /// Whether nothing would be in it if it were so long: it cannot be told from a new one then either.
    pub(crate) fn is_idle(&self, width: u64, now: Moment) -> bool {
        self.is_clean(now)
            && (width <= self.width() || self.is_all_older(width.min(MOST_WIDTH), now))
    }

    /// Whether all that was ever taken would have left a window of this width.
    #[cold]
    fn is_all_older(&self, width: u64, now: Moment) -> bool {
        let past = self.changing.lock();
        let (head, now) = (self.load(), clock(now));
        let has_left = |time: u64| time + width <= now;
        past.older.iter().all(|group| has_left(group.time))
            && (past.taken(self.shape(), head, now) == 0 || has_left(self.latest()))
    }

    /// The latest time that a slot was used, or stamped in vain.
    pub(super) fn latest(&self) -> u64 {
        let times = self.slots.iter().map(|cell| {
            let slot = Slot::from_bits(cell.load(Ordering::Acquire));
            slot.time()
        });
        times.max().unwrap_or(0)
    }

    /// What is left.
    pub(crate) fn level(&self, now: Moment) -> Level {
        let now = clock(now);
        self.steady(|shape, head| self.level_at(shape, head, now))
    }

    /// Says something of a ring that is not laid anew meanwhile.
    fn steady<T>(&self, say: impl Fn(Shape, Head) -> T) -> T {
        loop {
            let head = self.open_head();
            let said = say(self.shape(), head);
            let after = self.load();
            if !after.is_changing() && after.is_of_generation(head) {
                return said;
            }
        }
    }

    fn level_at(&self, shape: Shape, head: Head, now: u64) -> Level {
        let clear_after = self.clear_after(shape, head, now);
        if clear_after == 0 {
            let remaining = shape.limit();
            return Level {
                remaining,
                clear_after,
            };
        }
        let rest = (self.slot(head)).map_or(0, |slot| self.rest(shape, head, slot, now));
        let free = self.free_slots(shape, head, now);
        let units = shape.units_after(head.place(), free);
        Level {
            remaining: rest.saturating_add(units),
            clear_after,
        }
    }

    /// How long the latest unit stays.
    fn clear_after(&self, shape: Shape, head: Head, now: u64) -> u64 {
        let latest = if head.used() > 0 {
            head
        } else {
            head.previous(shape.slots().max(1))
        };
        match self.slot(latest) {
            Ok(slot) if slot.turn(latest) == Turn::This => slot.leaves_after(shape, now),
            // Started for a later round, so its units have left; or never used.
            _ => 0,
        }
    }

    /// How many slots after the one in use are free. Times do not fall along the ring, so the first that is not is found by halving.
    fn free_slots(&self, shape: Shape, head: Head, now: u64) -> usize {
        let (mut free, mut taken) = (0, shape.slots().max(1));
        while taken - free > 1 {
            let middle = free.midpoint(taken);
            if self.is_free(shape, head.ahead(middle, shape.slots()), now) {
                free = middle;
            } else {
                taken = middle;
            }
        }
        free
    }

    fn is_free(&self, shape: Shape, at: Head, now: u64) -> bool {
        let is_free = |slot: Slot| match slot.turn(at) {
            Turn::This => true,
            Turn::Before => slot.has_left(shape, now),
            Turn::Later | Turn::Foreign => false,
        };
        self.slot(at).is_ok_and(is_free)
    }
}
