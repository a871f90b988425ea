//! Who makes room for a newcomer when the queue is full.

use buttress_core::Priority;
use buttress_queue::Key;
use tokio::time::Instant;

use super::{Call, Fate, Queue, passed_over, waiting};

impl<W> Queue<W> {
    pub(super) fn make_room(&mut self, newcomer: Call, in_its_class: bool) -> Option<(W, Fate)> {
        let (now, class) = (newcomer.joined, newcomer.priority);
        let (key, fate) = if in_its_class {
            self.overdue_in(class, now)?
        } else {
            let mut classes = Priority::ALL.into_iter();
            let overdue = classes.find_map(|class| self.overdue_in(class, now));
            overdue.or_else(|| self.newest_below(class))?
        };
        let (_, who) = self.turn_out(key, fate)?;
        Some((who, fate))
    }

    /// A call of a class whose wait is over, if it is the first in a row: nobody polls it, so nobody else notices.
    fn overdue_in(&self, class: Priority, now: Instant) -> Option<(Key, Fate)> {
        [passed_over(class), waiting(class)]
            .into_iter()
            .find_map(|row| {
                let key = self.rows.first(row)?;
                let call = self.call(key)?;
                (call.limit <= now).then(|| (key, call.fate_at_limit()))
            })
    }

    fn newest_below(&self, priority: Priority) -> Option<(Key, Fate)> {
        let mut lower = Priority::ALL.into_iter().filter(|&class| class < priority);
        let newest = lower.find_map(|class| self.newest(class))?;
        Some((newest, Fate::Displaced))
    }

    /// The newest of a class that has no grant.
    pub(super) fn newest(&self, class: Priority) -> Option<Key> {
        let waits = self.rows.last(waiting(class));
        self.rows.later(waits, self.rows.last(passed_over(class)))
    }
}
