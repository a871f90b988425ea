//! What stands in the queue for a call: how to wake it, when, and what became of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use buttress_queue::Letter;
use buttress_timer::Alarm;
use tokio::time::Instant;

use crate::shared::Shared;
use crate::state::{Fate, Waiter as Waits};

/// A call that waits looks this often whether the grants of others are watched over, should nobody else do so.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One for each call that waits, shared by its future and the queue.
///
/// It is the waker of its own timer. So a grant that is not taken up is revoked when its time is over by a timer itself, that of
/// the next in turn: neither the future that has the grant nor any other must be polled for that, and the runtime of the one
/// that has it may be busy or gone.
pub(crate) struct Waiter {
    shared: Arc<Shared>,
    alarm: Alarm,
    /// When its wait is over.
    limit: Instant,
    /// Whether the timer has gone off, or was dropped with its runtime, and nobody has armed it again since.
    unarmed: AtomicBool,
    letter: Letter<Fate>,
}

impl Waiter {
    pub(crate) fn new(shared: Arc<Shared>, now: Instant, limit: Instant, task: Waker) -> Self {
        Self {
            shared,
            alarm: Alarm::new(limit.min(now + LOOK_AGAIN)),
            limit,
            unarmed: AtomicBool::new(false),
            letter: Letter::new(Some(task)),
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) const fn limit(&self) -> Instant {
        self.limit
    }

    pub(crate) fn remember(&self, task: &Waker) {
        self.letter.remember(task);
    }

    /// Lets its timer go off at `due` at the latest.
    pub(crate) fn set_at_latest(&self, due: Instant, now: Instant) {
        self.alarm.set_at_latest(due, now);
    }

    /// Lets its timer go off when its wait is over; before that once a second, to see whether those who watch over grants do.
    pub(crate) fn look_again(&self, now: Instant) {
        self.set_at_latest(self.limit.min(now + LOOK_AGAIN), now);
    }

    /// Makes sure that the timer goes off when it is due, unless it is due already.
    pub(crate) fn arm(self: &Arc<Self>) -> Poll<()> {
        self.unarmed.store(false, Ordering::Relaxed);
        self.alarm.arm(&Waker::from(Arc::clone(self)))
    }

    /// Goes on waiting after it has watched over a grant, without a poll of its task; false when that is not possible here.
    fn wait_on(self: &Arc<Self>, now: Instant) -> bool {
        self.look_again(now);
        let waker = Waker::from(Arc::clone(self));
        // It panics when the runtime ends at this very moment; the task, if there still is one, then finds that out.
        let armed = catch_unwind(AssertUnwindSafe(|| self.alarm.try_arm(&waker)));
        matches!(armed, Ok(Some(Poll::Pending)))
    }

    pub(crate) fn wake_task(&self) {
        self.letter.wake();
    }

    /// Why it was turned out.
    pub(crate) fn fate(&self) -> Option<Fate> {
        self.letter.fate()
    }

    /// Its call waits no more: no timer runs on.
    pub(crate) fn dismiss(&self) {
        self.alarm.disarm();
    }
}

impl Waits for Arc<Waiter> {
    fn turn_out(&self, fate: Fate) {
        self.letter.seal(fate);
    }

    fn can_watch(&self) -> bool {
        !self.unarmed.load(Ordering::Relaxed)
    }
}

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now = Instant::now();
        // Before it is due it goes off when the runtime that drove it is gone, or its task has used up its turn.
        let in_time = self.alarm.due() <= now;
        self.unarmed.store(!in_time, Ordering::Relaxed);
        self.shared.serve(now);
        if !(in_time && now < self.limit && self.wait_on(now)) {
            // It watches no more, though it may just have been asked to.
            self.unarmed.store(true, Ordering::Relaxed);
            self.shared.watch(now);
            // Its limit perhaps, or nothing at all; it is the task that looks.
            self.wake_task();
        }
    }
}
