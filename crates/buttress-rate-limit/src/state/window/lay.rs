use buttress_sync::atomic::Ordering;
use buttress_timer::Moment;

use super::head::Head;
use super::shape::Shape;
use super::{Slot, Turn, Window, clock};

/// Units that leave the window together: when they were taken, at the latest, and how many they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    time: u64,
    units: u32,
}

/// The fewest groups that are kept of what a smaller limit has no slots for.
const LEAST_KEPT: usize = 64;

impl Window {
    /// Changes limit and width. What is in the window stays in it, also if the limit is lowered and raised again. The ring has as
    /// many slots as it was built with, or fewer.
    pub(crate) fn set(&self, limit: u32, width: u64, now: Moment) {
        let mut older = self.changing.lock();
        let head = self.close();
        let slots = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let (old, new) = (self.shape(), Shape::new(limit, width, slots));
        let mut spent = self.spent(head);
        spent.append(&mut older);
        let now = clock(now);
        spent.retain(|group| group.units > 0 && group.time + old.width() > now);
        *older = split_off(&mut spent, new.limit());
        merge(&mut older, self.slots.len().max(LEAST_KEPT));
        let next = self.lay(head.laid_anew(), new, &spent);
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
            groups.push(Group { time, units });
            at = at.previous(shape.slots());
            at = at.plus(shape.units(at.place()));
        }
        // What a charge has taken the slot of, as far as it has not taken the place of it.
        if head.is_held() {
            let units = at.used().saturating_sub(head.used());
            let time = self.held.load(Ordering::Acquire);
            groups.push(Group { time, units });
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
        for &Group { time, mut units } in newest_first.iter().rev() {
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

/// Keeps the newest units, so many of them, and gives out the others.
fn split_off(newest_first: &mut Vec<Group>, mut units: u32) -> Vec<Group> {
    let mut older = Vec::new();
    for group in newest_first.iter_mut() {
        let kept = group.units.min(units);
        units -= kept;
        let rest = group.units - kept;
        if rest > 0 {
            let time = group.time;
            older.push(Group { time, units: rest });
        }
        group.units = kept;
    }
    newest_first.retain(|group| group.units > 0);
    older
}

/// Puts neighbours together until there are no more than so many groups. The older ones are then as late as the newer.
fn merge(groups: &mut Vec<Group>, most: usize) {
    while groups.len() > most {
        let pairs = groups.chunks(2).map(|pair| Group {
            time: pair.iter().map(|group| group.time).max().unwrap_or(0),
            units: pair
                .iter()
                .fold(0, |sum, group| group.units.saturating_add(sum)),
        });
        *groups = pairs.collect();
    }
}
