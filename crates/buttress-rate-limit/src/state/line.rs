//! The line: calls that wait for units, first come, first served. Who waits has nothing yet; whoever is first takes its units once
//! they are there. So a call that leaves leaves no hole, and those behind it move up.
//!
//! Knows nothing of tasks, timers or callers: whoever is to be told of something is handed out in a [`Step`], after the lock was
//! released. Units are taken under the lock, so no two calls that waited come out closer together than the supply allows.

use buttress_queue::Key;
use buttress_sync::atomic::{AtomicU32, Ordering};
use buttress_sync::{Mutex, MutexGuard};
use buttress_timer::Moment;

mod answers;
mod call;
mod queue;
mod room;

#[cfg(all(test, buttress_shuttle))]
mod shuttle_tests;
#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests;

pub(crate) use self::answers::{Arrival, Step, Turn};
pub(crate) use self::call::{Call, Fate};
use self::queue::Queue;

/// Where the units come from. It is asked under the lock of the line, and must not use the line.
pub(crate) trait Supply {
    /// What a call gets that took its units.
    type Receipt;

    /// Takes so many units.
    ///
    /// # Errors
    /// When they are not there: the earliest moment at which asking again is of use.
    fn take(&self, units: u32, now: Moment) -> Result<Self::Receipt, Moment>;

    /// The same for a call that has waited, and comes a moment after they were there: timers go off a little late.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    fn take_late(&self, units: u32, now: Moment) -> Result<Self::Receipt, Moment> {
        self.take(units, now)
    }

    /// When so many units are there if nobody else takes any: now or earlier if they are. Too early perhaps, but never too late.
    fn ready(&self, units: u32, now: Moment) -> Moment;

    /// When so many units have been taken by one call after the other from now on, however many that are; `None` where nobody can
    /// tell.
    fn turn(&self, units: u64, now: Moment) -> Option<Moment>;

    /// Whether so many units can ever be there.
    fn fits(&self, units: u32) -> bool;
}

/// Somebody in the line. Cloning and telling it of its fate runs under the lock: both must be ours, and short.
pub(crate) trait Waiter: Clone {
    /// Learns that it has left the line without its units. It is woken later, by the [`Step`].
    fn turn_out(&self, fate: Fate);

    /// Whether its timer can see to it that something happens in time.
    fn can_watch(&self) -> bool {
        true
    }
}

/// The line.
#[derive(Debug)]
pub(crate) struct Line<W> {
    queue: Mutex<Queue<W>>,
    /// How many wait in turn, or [`CLOSED`], to be read without the lock; changed under it.
    in_turn: AtomicU32,
}

const CLOSED: u32 = u32::MAX;

impl<W> Line<W> {
    /// Makes a line in which so many calls may wait.
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            queue: Mutex::new(Queue::new(capacity)),
            in_turn: AtomicU32::new(0),
        }
    }

    /// Whether a newcomer may ask the supply by itself: nobody waits whose turn comes first, and the line is not closed.
    ///
    /// Those that are passed over do not count: they are asked for nothing until they are polled again.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        // In one order with what others do to the supply: whoever adds to it sees who waits for it, or that one sees what was added.
        self.in_turn.load(Ordering::SeqCst) == 0
    }

    /// Whether nobody is let in any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.in_turn.load(Ordering::SeqCst) == CLOSED
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.queue.lock().waiting()
    }

    fn publish(&self, queue: &MutexGuard<'_, Queue<W>>) {
        let in_turn = if queue.closed {
            CLOSED
        } else {
            queue.in_turn()
        };
        if in_turn != self.in_turn.load(Ordering::Relaxed) {
            self.in_turn.store(in_turn, Ordering::SeqCst);
        }
    }
}

impl<W: Waiter> Line<W> {
    /// Lets a call in that would not wait, when nobody waits before it.
    ///
    /// # Errors
    /// Why not; [`Fate::Expired`] when it would have to wait.
    #[cold]
    pub(crate) fn admit<S: Supply>(
        &self,
        units: u32,
        now: Moment,
        supply: &S,
    ) -> Result<S::Receipt, Fate> {
        let queue = self.queue.lock();
        queue.check(units, supply)?;
        let turn = if queue.in_turn() == 0 || units == 0 {
            match supply.take(units, now) {
                Ok(receipt) => return Ok(receipt),
                Err(ready) => Some(ready),
            }
        } else {
            queue.turn_of_newcomer(units, now, supply)
        };
        Err(Fate::Expired { turn })
    }

    /// Lets a call in if nobody waits before it and its units are there, and else gives it the last place, unless its turn is
    /// known to come too late. One that reserves gets a place in any case.
    ///
    /// `who` is made once it is sure that it gets a place; if it gets none, what it would have been made of is dropped after the
    /// lock was released, as parameters are.
    pub(crate) fn arrive<S: Supply>(
        &self,
        call: Call,
        reserves: bool,
        supply: &S,
        who: impl FnOnce() -> W,
    ) -> Arrival<S::Receipt, W> {
        let mut queue = self.queue.lock();
        if let Err(fate) = queue.check(call.units, supply) {
            return Arrival::Refused(fate);
        }
        queue.pass_over(call.joined);
        if !reserves
            && (queue.in_turn() == 0 || call.units == 0)
            && let Ok(receipt) = supply.take(call.units, call.joined)
        {
            self.publish(&queue);
            return Arrival::Admitted(receipt);
        }
        let (turn, turned_out) = match queue.make_room(call, supply) {
            Ok(room) => room,
            Err(fate) => {
                self.publish(&queue);
                return Arrival::Refused(fate);
            }
        };
        let who = who();
        let key = queue.join(call, who.clone());
        self.publish(&queue);
        Arrival::Waits {
            who,
            key,
            turn,
            turned_out,
        }
    }

    /// Tells a call how it stands, and gives it its units if it is first and they are there.
    pub(crate) fn poll<S: Supply>(&self, key: Key, now: Moment, supply: &S) -> Turn<S::Receipt> {
        let left;
        let mut queue = self.queue.lock();
        let Some(call) = queue.call(key) else {
            return Turn::Gone;
        };
        // Whoever is polled is there, and looks after the others, too: the timer that was to do it may come late.
        queue.revive(key, now);
        if queue.first() != Some(key) {
            queue.pass_over(now);
        }
        let turn = queue.try_turn(key, call, now, supply);
        left = match turn {
            Turn::Waits | Turn::Gone => None,
            Turn::Admitted(_) => queue.take_up(key),
            Turn::Over(_) => queue.leave(key),
        };
        self.publish(&queue);
        drop((queue, left));
        turn
    }

    /// Does one thing that is to be done: passes over whoever does not come though it was called, turns out a call that the supply
    /// keeps waiting for too long, or calls the first when its units are there. Asked until it says who must look again, and
    /// when.
    pub(crate) fn step<S: Supply>(&self, now: Moment, supply: &S) -> Step<W> {
        let mut queue = self.queue.lock();
        let step = queue.step(now, supply);
        self.publish(&queue);
        step
    }

    /// Lets a call leave, and tells whether somebody else is first now, or must be seen to by somebody else.
    pub(crate) fn leave(&self, key: Key) -> bool {
        let left;
        let mut queue = self.queue.lock();
        left = queue.leave(key);
        self.publish(&queue);
        let others = queue.in_turn() > 0;
        drop((queue, left));
        others
    }

    /// Lets a call that waits wait no longer than until `deadline`.
    pub(crate) fn shorten(&self, key: Key, deadline: Moment) {
        self.queue.lock().shorten(key, deadline);
    }

    /// Lets nobody in any more; tells whether it did before. Those that wait are turned out by [`dismiss`](Self::dismiss).
    pub(crate) fn close(&self) -> bool {
        let mut queue = self.queue.lock();
        let was_open = !std::mem::replace(&mut queue.closed, true);
        self.publish(&queue);
        was_open
    }

    /// Turns out one call of a closed line.
    pub(crate) fn dismiss(&self) -> Option<W> {
        let mut queue = self.queue.lock();
        let key = queue.anybody()?;
        queue.turn_out(key, Fate::Closed)
    }
}
