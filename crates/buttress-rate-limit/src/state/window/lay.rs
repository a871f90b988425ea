use std::cmp::Reverse;

use buttress_sync::atomic::Ordering;
use buttress_timer::Moment;

use super::head::Head;
use super::past::{Group, split_off};
use super::rounds::Rounds;
use super::shape::Shape;
use super::{Slot, Turn, Window, clock};

impl Window {
    /// Changes limit and width. What was taken before counts as long as it is in the new window, whatever limits and widths there
    /// were meanwhile. The ring has as many slots as it was built with, or fewer.
    ///
    /// What the ring has forgotten, because it had left a window that was shorter, counts as if it had left it only just. And what
    /// is kept for later is kept in half as many groups as there are slots: so no unit is forgotten too early, but some may stay
    /// too long.
    pub(crate) fn set(&self, limit: u32, width: u64, now: Moment) {
        let mut past = self.changing.lock();
        let head = self.close();
        let slots = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let (old, new, now) = (self.shape(), Shape::new(limit, width, slots), clock(now));
        let mut spent = self.spent(head);
        let overwritten = past.overwritten(old, head, &spent, self.latest(), now);
        spent.extend(overwritten);
        spent.append(&mut past.older);
        // Those that were forgotten may be older than those that were never laid, for all that is known.
        spent.sort_by_key(|group| Reverse(group.time));
        let older = split_off(&mut spent, new, now);
        past.keep(older, self.slots.len(), now);
        let first = head.laid_anew();
        past.rounds = Rounds::new(first, now);
        let next = self.lay(first, new, &spent);
        self.width.store(new.width(), Ordering::Release);
        self.shape.store(new.bits(), Ordering::Release);
        self.head.store(next.open().bits(), Ordering::Release);
    }

    /// What stands in the ring, from the newest to the oldest.
    fn spent(&self, head: Head) -> Vec<Group> {
        let shape = self.shape();
        let mut groups = Vec::with_capacity(shape.slots() + 1);
        let mut at = head;
        for _ in 0..shape.slots() {
            let Ok(slot) = self.slot(at) else { break };
            // Started for a later round, or never used: there is nothing older.
            if slot.turn(at) != Turn::This {
                break;
            }
            let (time, units) = (slot.time(), at.used());
            groups.push(Group::of(units, time));
            at = at.previous(shape.slots());
            at = at.plus(shape.units(at.place()));
        }
        // What a charge has taken the slot of, as far as it has not taken the place of it.
        if head.is_held() {
            let units = at.used().saturating_sub(head.used());
            let time = self.held.load(Ordering::Acquire);
            groups.push(Group::of(units, time));
        }
        groups
    }

    /// Lays units into the ring from its first place on, oldest first, and tells where the head stands then. A slot is as late as the
    /// last of its units; the slots after them are free.
    fn lay(&self, first: Head, shape: Shape, newest_first: &[Group]) -> Head {
        let free = Slot::FREE.anew(first, 0);
        for cell in &self.slots {
            cell.store(free.bits(), Ordering::Release);
        }
        let (mut at, mut latest) = (first, 0);
        for &Group {
            time, mut units, ..
        } in newest_first.iter().rev()
        {
            latest = time.max(latest);
            while units > 0 {
                if at.used() == shape.units(at.place()) {
                    at = at.next(shape.slots());
                }
                let laid = units.min(shape.units(at.place()) - at.used());
                units -= laid;
                at = at.plus(laid);
                if let Some(cell) = self.slots.get(at.place()) {
                    cell.store(free.at(latest).bits(), Ordering::Release);
                }
            }
        }
        at
    }
}
