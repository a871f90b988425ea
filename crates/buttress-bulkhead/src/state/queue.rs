//! Who waits, and whose turn it is. Knows nothing of slots: it is asked when one is free, and told when one was taken.

use std::time::Duration;

use buttress_core::Priority;
use buttress_queue::{Key, Patience, Rows};
use tokio::time::Instant;

mod call;
mod per_class;
mod room;
mod shares;
#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests;

pub(crate) use self::call::{Call, Fate, Standing, Tally};
pub(crate) use self::per_class::PerClass;
use self::shares::Shares;

/// The longest queue.
pub(crate) const MOST_QUEUED: u32 = 100_000;

/// How long the queue is, and who may have how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) capacity: u32,
    /// The most calls of each class.
    pub(crate) caps: PerClass<u32>,
    /// What each class is guaranteed of the grants, in percent.
    pub(crate) shares: PerClass<u32>,
    /// How long a grant waits to be taken up; longer while that proves too short.
    pub(crate) patience: Duration,
}

/// The queue. Every call in it stands in one row: it waits for a grant, or has one, or has had one and let it pass.
///
/// Whoever let a grant pass keeps the place, but is passed over until [`revive`](Self::revive)d. All of them count against
/// the capacity, so that there is a place to go back to.
#[derive(Debug)]
pub(crate) struct Queue<W> {
    rows: Rows<Waiter<W>, { 2 * CLASSES + 1 }>,
    counts: PerClass<u32>,
    shares: Shares,
    terms: Terms,
    patience: Patience,
    tallies: PerClass<Tally>,
}

#[derive(Debug)]
struct Waiter<W> {
    call: Call,
    granted: Option<Instant>,
    /// When the grant came that it let pass, if it did.
    let_pass: Option<Instant>,
    who: W,
}

const CLASSES: usize = Priority::ALL.len();
const GRANTED: usize = 2 * CLASSES;

const fn waiting(priority: Priority) -> usize {
    priority as usize
}

const fn passed_over(priority: Priority) -> usize {
    CLASSES + priority as usize
}

impl<W> Queue<W> {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            rows: Rows::new(),
            counts: PerClass::default(),
            shares: Shares::new(&terms.shares),
            patience: Patience::new(terms.patience),
            terms,
            tallies: PerClass::default(),
        }
    }

    /// Gives a call the last place of its class.
    ///
    /// A full queue makes room for it by turning out a call whose wait is over, if one is the first of those of its class that
    /// wait, or that were passed over; else the newest of the lowest class, if that is lower than its own. That one is returned with its fate.
    ///
    /// # Errors
    /// When there is no room: `who` is given back.
    pub(crate) fn join(&mut self, call: Call, who: W) -> Result<(Key, Option<(W, Fate)>), W> {
        let class_is_full = self.counts.get(call.priority) >= self.terms.caps.get(call.priority);
        let mut turned_out = None;
        if class_is_full || self.rows.occupied() >= self.terms.capacity {
            turned_out = self.make_room(call, class_is_full);
            if turned_out.is_none() {
                return Err(who);
            }
        }
        *self.counts.get_mut(call.priority) += 1;
        let waiter = Waiter {
            call,
            granted: None,
            let_pass: None,
            who,
        };
        Ok((self.rows.push(waiting(call.priority), waiter), turned_out))
    }

    /// Whose turn it is; `ordinary` says whether a slot is free that is not kept for the highest class.
    pub(crate) fn next(&self, ordinary: bool) -> Option<Key> {
        let turn = if ordinary {
            self.shares.turn(|class| self.waits(class))?
        } else {
            Priority::Critical
        };
        self.rows.first(waiting(turn))
    }

    /// Notes that a call got a slot; `ordinary` as in [`next`](Self::next).
    pub(crate) fn grant(&mut self, key: Key, ordinary: bool, now: Instant) {
        let Some(waiter) = self.rows.get_mut(key) else {
            return;
        };
        waiter.granted = Some(now);
        let granted = waiter.call.priority;
        if ordinary {
            let rows = &self.rows;
            self.shares
                .note(granted, |class| rows.length(waiting(class)) > 0);
        }
        self.rows.move_to_end(key, GRANTED);
        self.forget_if_empty(granted);
    }

    /// When the oldest grant is overdue, if there is one, and who can see to it: of those that wait and are able to, the first
    /// in turn and the newest, which was heard of last; else the one that has the grant.
    pub(crate) fn watch(&self, able: impl Fn(&W) -> bool) -> Option<([Option<&W>; 2], Instant)> {
        let oldest = self.rows.get(self.rows.first(GRANTED)?)?;
        let due = oldest.granted?.checked_add(self.patience.now())?;
        let classes = Priority::ALL.into_iter().rev();
        let mut waiters = classes.flat_map(|class| self.rows.row(waiting(class)));
        let Some((first, watcher)) = waiters.find(|(_, waiter)| able(&waiter.who)) else {
            return Some(([Some(&oldest.who), None], due));
        };
        let newest = Priority::ALL.into_iter().fold(None, |newest, class| {
            self.rows.later(newest, self.rows.last(waiting(class)))
        });
        let newest = newest.filter(|&newest| newest != first);
        let newest = newest.and_then(|newest| self.who(newest));
        let newest = newest.filter(|newest| able(newest));
        Some(([Some(&watcher.who), newest], due))
    }

    /// Whether somebody has a grant and has not taken it up yet.
    pub(crate) fn has_grants(&self) -> bool {
        self.rows.length(GRANTED) > 0
    }

    /// Takes back the oldest grant that nobody took up for too long, if there is one; its owner is passed over from now on.
    pub(crate) fn revoke(&mut self, now: Instant) -> Option<Call> {
        let key = self.overdue_grant(now)?;
        let waiter = self.rows.get_mut(key)?;
        waiter.let_pass = waiter.granted.take();
        let call = waiter.call;
        self.rows
            .move_by_late_arrival(key, passed_over(call.priority));
        self.tallies.get_mut(call.priority).revoked += 1;
        Some(call)
    }

    /// Lets a call that was passed over wait again, at its old place. It was there all the time, so its grant was taken back
    /// too soon: the next may wait longer.
    pub(crate) fn revive(&mut self, key: Key, now: Instant) {
        if self.standing(key) == Standing::PassedOver
            && let Some(waiter) = self.rows.get_mut(key)
        {
            let (priority, let_pass) = (waiter.call.priority, waiter.let_pass.take());
            self.rows.move_by_arrival(key, waiting(priority));
            if let Some(granted) = let_pass {
                self.patience.grow(now.saturating_duration_since(granted));
            }
        }
    }

    /// Ends the wait of a call that takes up its grant.
    pub(crate) fn take_up(&mut self, key: Key) -> Option<(Call, W)> {
        let (call, who) = self.leave(key)?;
        self.patience.shrink();
        self.tallies.get_mut(call.priority).granted += 1;
        Some((call, who))
    }

    /// Turns a call out.
    pub(crate) fn turn_out(&mut self, key: Key, fate: Fate) -> Option<(Call, W)> {
        let (call, who) = self.leave(key)?;
        self.tallies.get_mut(call.priority).count(fate);
        Some((call, who))
    }

    /// Lets a call go, whatever it was about.
    pub(crate) fn leave(&mut self, key: Key) -> Option<(Call, W)> {
        let Waiter { call, who, .. } = self.rows.remove(key)?;
        *self.counts.get_mut(call.priority) -= 1;
        self.forget_if_empty(call.priority);
        Some((call, who))
    }

    /// Makes the queue longer or shorter. Who has no place any more is found by [`superfluous`](Self::superfluous).
    pub(crate) const fn resize(&mut self, capacity: u32) {
        self.terms.capacity = capacity;
    }

    /// The newest of the lowest class, while there are more calls than the queue may hold.
    pub(crate) fn superfluous(&self) -> Option<Key> {
        if self.rows.occupied() <= self.terms.capacity {
            return None;
        }
        Priority::ALL
            .into_iter()
            .find_map(|class| self.newest(class))
    }

    /// Any call that is there.
    pub(crate) fn anybody(&self) -> Option<Key> {
        (0..=GRANTED).find_map(|row| self.rows.first(row))
    }

    pub(crate) fn standing(&self, key: Key) -> Standing {
        let Some(waiter) = self.rows.get(key) else {
            return Standing::Gone;
        };
        match waiter.granted {
            Some(since) => Standing::Granted(since),
            None if self.rows.row_of(key) == Some(waiting(waiter.call.priority)) => Standing::Waits,
            None => Standing::PassedOver,
        }
    }

    pub(crate) fn call(&self, key: Key) -> Option<Call> {
        self.rows.get(key).map(|waiter| waiter.call)
    }

    pub(crate) fn who(&self, key: Key) -> Option<&W> {
        self.rows.get(key).map(|waiter| &waiter.who)
    }

    /// Whether anybody of this class or a higher one waits for a grant.
    pub(crate) fn somebody_waits(&self, lowest: Priority) -> bool {
        let mut classes = Priority::ALL.into_iter().filter(|&class| class >= lowest);
        classes.any(|class| self.waits(class))
    }

    /// How many of a class are here without a grant.
    pub(crate) fn queued(&self, class: Priority) -> u32 {
        self.rows.length(waiting(class)) + self.rows.length(passed_over(class))
    }

    pub(crate) const fn tallies(&self) -> &PerClass<Tally> {
        &self.tallies
    }

    fn waits(&self, class: Priority) -> bool {
        self.rows.length(waiting(class)) > 0
    }

    /// The oldest grant, if nobody took it up for too long.
    pub(crate) fn overdue_grant(&self, now: Instant) -> Option<Key> {
        let key = self.rows.first(GRANTED)?;
        let granted = self.rows.get(key)?.granted?;
        let waited = now.saturating_duration_since(granted);
        (waited >= self.patience.now()).then_some(key)
    }

    fn forget_if_empty(&mut self, class: Priority) {
        if !self.waits(class) {
            self.shares.forget(class);
        }
    }
}
