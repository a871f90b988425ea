use std::cell::Cell;

use buttress_sync::atomic::Ordering;
use buttress_timer::Moment;

use super::head::Head;
use super::{Slot, Window, clock};

impl Window {
    /// Takes what was used already, whether it is there or not. What goes beyond the limit is forgiven: when nothing is left of a
    /// window after that, nobody gets in for a window.
    pub(crate) fn charge(&self, units: u32, now: Moment) {
        let units = units.min(self.limit());
        if self.take(units, now).is_err() {
            self.force(units, clock(now));
        }
    }

    /// The newest units of a limit are all that matter, so the slots of older ones may be used before they leave the window. But
    /// then nobody must believe that they have left it: so it is done with the ring closed, where no attempt fails half-way; and
    /// what is not used of the last slot is held until they have left.
    #[cold]
    fn force(&self, units: u32, now: u64) {
        let mut past = self.changing.lock();
        let head = self.close();
        let shape = self.shape();
        let latest = self.slot(head).map_or(now, |seen| now.max(seen.time()));
        past.rounds = past.rounds.until(head, shape.width(), latest);
        let units = units.min(shape.limit());
        let forced = Cell::new(None);
        let may_use = |at: Head, slot: Slot, _| {
            forced.set(Some((at.place(), slot.time())));
            true
        };
        let mut next = loop {
            // Fails when an attempt that began before still stamps the slot; each does that once.
            let next = self.slot(head).and_then(|seen| {
                let from = (head, seen, seen.rest(head, shape, now));
                self.advance(shape, from, units, now, may_use)
            });
            if let Ok(next) = next {
                break next;
            }
        };
        if let Some((place, time)) = forced.get()
            && place == next.place()
        {
            self.held.store(time, Ordering::Release);
            next = next.hold();
        }
        self.head.store(next.open().bits(), Ordering::Release);
    }

    /// From here on nobody's attempt succeeds, and whoever comes waits for the lock.
    pub(super) fn close(&self) -> Head {
        let before = self.head.fetch_or(Head::CHANGING, Ordering::AcqRel);
        Head::from_bits(before | Head::CHANGING)
    }
}
