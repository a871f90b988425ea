//! The machine: slots, and a queue of those who wait for one. Everything that many threads may do at once stands here, and
//! nothing that knows of tasks, timers or callers: whoever is to be told of something is handed out in a [`Notice`], after the
//! lock was released.

use buttress_core::Priority;
use buttress_queue::Key;
use buttress_sync::atomic::{AtomicU32, Ordering};
use buttress_sync::{Mutex, MutexGuard};
use tokio::time::Instant;

mod answers;
mod queue;
mod slots;

#[cfg(all(test, buttress_loom))]
mod loom_tests;
#[cfg(all(test, buttress_shuttle))]
mod shuttle_tests;
#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests;

pub(crate) use self::answers::{Arrival, NoPlace, Notice, Turn};
pub(crate) use self::queue::{Call, Fate, MOST_QUEUED, PerClass, Tally, Terms};
use self::queue::{Queue, Standing};
pub(crate) use self::slots::{Claim, MOST_CALLS, Occupancy, Slots};

/// Somebody in the queue. Cloning and telling it of its fate runs under the lock: both must be ours, and short.
pub(crate) trait Waiter: Clone {
    /// Learns that it has left the queue without a slot. It is woken later, by the [`Notice`].
    fn turn_out(&self, fate: Fate);

    /// Whether its timer can see to it that a grant of another is not kept for too long.
    fn can_watch(&self) -> bool {
        true
    }
}

/// Slots and queue.
#[derive(Debug)]
pub(crate) struct State<W> {
    pub(crate) slots: Slots,
    queue: Mutex<Queue<W>>,
    /// How many may wait, to be read without the lock; changed under it.
    capacity: AtomicU32,
}

impl<W: Waiter> State<W> {
    pub(crate) fn new(slots: Slots, terms: Terms) -> Self {
        Self {
            slots,
            capacity: AtomicU32::new(terms.capacity),
            queue: Mutex::new(Queue::new(terms)),
        }
    }

    /// What a call of this class takes.
    #[inline]
    pub(crate) fn claim(&self, priority: Priority) -> Claim {
        if self.slots.reserved() > 0 && priority == Priority::Critical {
            Claim::TOP
        } else {
            Claim::ORDINARY
        }
    }

    /// Takes a slot for a call of a class above those that wait, when one is free that they may not have.
    pub(crate) fn take_before_lower(&self, priority: Priority) -> Option<Claim> {
        let claim = self.claim(priority);
        let queue = self.queue.lock();
        let takes = !queue.somebody_waits(priority) && self.slots.take_before_others(claim);
        takes.then_some(claim)
    }

    /// Puts a call into the queue.
    pub(crate) fn join(&self, call: Call, who: W) -> Arrival<W> {
        // Whatever is dropped of `who` is dropped after the lock is released.
        let joined;
        let mut queue = self.queue.lock();
        if self.slots.occupancy().is_closed() {
            drop((queue, who));
            return Arrival::none(NoPlace::Closed);
        }
        joined = queue.join(call, who);
        let (place, turned_out) = match &joined {
            Err(_) => (Err(NoPlace::Full), None),
            Ok((key, turned_out)) => (Ok(*key), turned_out.clone()),
        };
        if let Some((who, fate)) = &turned_out {
            who.turn_out(*fate);
        }
        if place.is_ok() {
            self.slots.wait_for();
        }
        let free = self.slots.has_room_for(self.claim(call.priority));
        let serve = free || queue.has_grants();
        drop((queue, joined));
        Arrival {
            place,
            turned_out: turned_out.map(|(who, fate)| Notice::TurnedOut(who, fate)),
            serve,
        }
    }

    /// Does one thing that is to be done: takes a grant back that was not taken up, turns out a call that has no place any more
    /// or whose wait is over, or grants a free slot. Called until there is nothing left to do; and whoever waits for the last
    /// call to leave is to be told then, if it has.
    pub(crate) fn serve(&self, now: Instant) -> Option<Notice<W>> {
        let mut queue = self.queue.lock();
        if let Some(call) = queue.revoke(now) {
            self.slots.give_back(self.claim(call.priority));
            return Some(Notice::Revoked(call.priority));
        }
        // Made shorter while calls had a grant that they let pass: their places are gone.
        if let Some(key) = queue.superfluous() {
            return self.turn_out(&mut queue, key, Fate::Displaced);
        }
        loop {
            let ordinary = self.slots.has_room_for(Claim::ORDINARY);
            if !ordinary && !self.slots.has_room_for(self.claim(Priority::Critical)) {
                return None;
            }
            let key = queue.next(ordinary)?;
            let call = queue.call(key)?;
            if call.limit <= now {
                return self.turn_out(&mut queue, key, call.fate_at_limit());
            }
            // Only a change of the limit comes in between.
            if self.slots.take_before_others(self.claim(call.priority)) {
                queue.grant(key, ordinary, now);
                self.unless_somebody_waits(&queue);
                return queue.who(key).cloned().map(Notice::Granted);
            }
        }
    }

    /// Who must see to it that the oldest grant is taken up, and until when: whoever comes by then serves the queue again.
    pub(crate) fn watch(&self) -> Option<([Option<W>; 2], Instant)> {
        let queue = self.queue.lock();
        let (watchers, due) = queue.watch(W::can_watch)?;
        Some((watchers.map(Option::<&W>::cloned), due))
    }

    /// Tells a call how it stands.
    pub(crate) fn poll(&self, key: Key, now: impl FnOnce() -> Instant) -> Turn {
        let left;
        let mut queue = self.queue.lock();
        let (standing, Some(call)) = (queue.standing(key), queue.call(key)) else {
            return Turn::Gone;
        };
        // A grant in time is in time for the longest wait; a deadline is one to the end.
        let (limit, fate) = match standing {
            Standing::Granted(_) => (call.deadline, Fate::PastDeadline),
            _ => (Some(call.limit), call.fate_at_limit()),
        };
        let now = limit.map(|_| now());
        if limit.zip(now).is_some_and(|(limit, now)| limit <= now) {
            left = self.end_wait(&mut queue, key, fate);
            drop((queue, left));
            return Turn::Over(fate);
        }
        match standing {
            Standing::Gone => Turn::Gone,
            Standing::Granted(since) => {
                left = queue.take_up(key);
                let others = queue.has_grants();
                drop((queue, left));
                Turn::Admitted {
                    claim: self.claim(call.priority),
                    waited: since.saturating_duration_since(call.joined),
                    others,
                }
            }
            // Whoever is polled looks after the others, too: the timer that was to do it may come late.
            Standing::Waits if now.is_some_and(|now| queue.overdue_grant(now).is_some()) => {
                Turn::Served
            }
            Standing::Waits => Turn::Waits(call.limit),
            Standing::PassedOver => {
                queue.revive(key, now.unwrap_or(call.limit));
                self.slots.wait_for();
                Turn::Served
            }
        }
    }

    /// Turns out a call whose time is over, and takes back the slot that it may have been granted.
    fn end_wait(
        &self,
        queue: &mut MutexGuard<'_, Queue<W>>,
        key: Key,
        fate: Fate,
    ) -> Option<(Call, W)> {
        let granted = matches!(queue.standing(key), Standing::Granted(_));
        let left = queue.turn_out(key, fate);
        self.unless_somebody_waits(queue);
        if let (true, Some((call, _))) = (granted, &left) {
            self.slots.give_back(self.claim(call.priority));
        }
        left
    }

    /// Lets a call leave, and tells whether somebody is to be served now: it may have held a slot, or have watched over a grant.
    pub(crate) fn leave(&self, key: Key) -> bool {
        let left;
        let mut queue = self.queue.lock();
        let granted = matches!(queue.standing(key), Standing::Granted(_));
        left = queue.leave(key);
        self.unless_somebody_waits(&queue);
        if let (true, Some((call, _))) = (granted, &left) {
            self.slots.give_back(self.claim(call.priority));
        }
        let serve = granted || queue.has_grants();
        drop((queue, left));
        serve
    }

    /// How many may wait.
    #[inline]
    pub(crate) fn capacity(&self) -> u32 {
        self.capacity.load(Ordering::Relaxed)
    }

    /// Changes how many may wait. Those that have no place any more are turned out by [`serve`](Self::serve).
    pub(crate) fn resize_queue(&self, capacity: u32) {
        let mut queue = self.queue.lock();
        queue.resize(capacity);
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Turns out one call of a closed bulkhead, whether it has a grant or not.
    pub(crate) fn dismiss(&self) -> Option<Notice<W>> {
        let mut queue = self.queue.lock();
        let key = queue.anybody()?;
        if let (Standing::Granted(_), Some(call)) = (queue.standing(key), queue.call(key)) {
            self.slots.give_back(self.claim(call.priority));
        }
        self.turn_out(&mut queue, key, Fate::Closed)
    }

    /// How many of each class wait, and what happened in it so far.
    pub(crate) fn classes(&self) -> PerClass<(u32, Tally)> {
        let queue = self.queue.lock();
        PerClass::from_fn(|class| (queue.queued(class), *queue.tallies().get(class)))
    }

    fn turn_out(
        &self,
        queue: &mut MutexGuard<'_, Queue<W>>,
        key: Key,
        fate: Fate,
    ) -> Option<Notice<W>> {
        let (_, who) = queue.turn_out(key, fate)?;
        self.unless_somebody_waits(queue);
        who.turn_out(fate);
        Some(Notice::TurnedOut(who, fate))
    }

    /// Opens the way in again when nobody waits any more.
    fn unless_somebody_waits(&self, queue: &Queue<W>) {
        if !queue.somebody_waits(Priority::Background) {
            self.slots.wait_no_more();
        }
    }
}
