//! What stands in the line for a call: how to wake it, when, and what became of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use buttress_queue::Letter;
use buttress_timer::{Alarm, Moment};

use crate::shared::Shared;
use crate::state::Receipt;
use crate::state::line::{Fate, Step, Waiter as Waits};

/// A call that waits looks this often whether the line moves, should nobody else do so.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One for each call that waits, shared by its future and the line.
///
/// It is the waker of its own timer. So a call that is first and does not come is passed over by a timer itself, that of the next in
/// turn: neither the future of the first nor any other must be polled for that, and the runtime of the first may be busy or gone.
pub(crate) struct Waiter {
    shared: Arc<Shared>,
    alarm: Alarm,
    /// When its wait is over, in nanoseconds.
    limit: AtomicU64,
    /// Whether no timer runs: none was armed yet, or it has gone off, or was dropped with its runtime, and nobody has armed it
    /// again since.
    unarmed: AtomicBool,
    letter: Letter<Fate>,
}

impl Waiter {
    /// Without a task it is not polled yet, and no timer runs.
    pub(crate) fn new(
        shared: Arc<Shared>,
        now: Moment,
        limit: Moment,
        task: Option<Waker>,
    ) -> Self {
        let due = shared.instant(limit.min(now.plus(LOOK_AGAIN)));
        Self {
            shared,
            alarm: Alarm::new(due),
            limit: AtomicU64::new(limit.nanos()),
            unarmed: AtomicBool::new(task.is_none()),
            letter: Letter::new(task),
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn limit(&self) -> Moment {
        Moment::from_nanos(self.limit.load(Ordering::Relaxed))
    }

    pub(crate) fn shorten(&self, limit: Moment) {
        self.limit.fetch_min(limit.nanos(), Ordering::Relaxed);
    }

    pub(crate) fn remember(&self, task: &Waker) {
        self.letter.remember(task);
    }

    /// Lets its timer go off at `due` at the latest; one that is going off now looks by itself.
    fn watch(&self, due: Moment, now: Moment) {
        if self.alarm.due() > self.shared.instant(now) {
            self.set_at_latest(due, now);
        }
    }

    /// Lets its timer go off when its wait is over; before that once a second, to see whether the line moves.
    fn look_again(&self, now: Moment) {
        self.set_at_latest(self.limit(), now);
    }

    fn set_at_latest(&self, due: Moment, now: Moment) {
        let due = due.min(now.plus(LOOK_AGAIN));
        let (due, now) = (self.shared.instant(due), self.shared.instant(now));
        self.alarm.set_at_latest(due, now);
    }

    /// Makes sure that the timer goes off when its wait is over, or something else is due; tells if it is due already.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its time driver enabled.
    pub(crate) fn arm(self: &Arc<Self>, now: Moment) -> Poll<()> {
        self.look_again(now);
        self.unarmed.store(false, Ordering::Relaxed);
        self.alarm.arm(&Waker::from(Arc::clone(self)))
    }

    /// Goes on waiting after it has looked after the line, without a poll of its task; false when that is not possible here.
    fn wait_on(self: &Arc<Self>) -> bool {
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

    /// Wakes it, as it was turned out, and has that counted and told. Neither is its own call's doing.
    pub(crate) fn announce(&self, fate: Fate, now: Moment) {
        self.wake_task();
        self.shared.note_turned_out(fate, now);
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
        let now = self.shared.now();
        // Before it is due it goes off when the runtime that drove it is gone, or its task has used up its turn.
        let in_time = self.alarm.due() <= self.shared.instant(now);
        self.unarmed.store(!in_time, Ordering::Relaxed);
        if in_time {
            // First of all: who finds it going off trusts that it has not looked yet.
            self.look_again(now);
        }
        self.shared.attend(now);
        if !(in_time && now < self.limit() && self.wait_on()) {
            // It watches no more, though it may just have been asked to.
            self.unarmed.store(true, Ordering::Relaxed);
            self.shared.attend(now);
            // Its limit perhaps, or nothing at all; it is the task that looks.
            self.wake_task();
        }
    }
}

/// What the line makes of those who wait: whoever changes it, or the supply, sees to them without a lock held.
impl Shared {
    /// Lets a call in that may not wait, though the line is not empty: whoever does not come is passed over. Counts nothing.
    ///
    /// # Errors
    /// [`Fate::Expired`] when somebody waits before it, or its units are not there.
    #[cold]
    pub(crate) fn admit_beside_line(&self, units: u32, now: Moment) -> Result<Receipt, Fate> {
        self.attend(now);
        self.line.admit(units, now, self.supply())
    }

    /// Does what is to be done in the line: calls the first when its units are there, and sets the timers of those who look after that.
    /// To be done after units came back, or the rate was changed, while somebody waits.
    #[cold]
    pub(crate) fn attend(&self, now: Moment) {
        loop {
            match self.line.step(now, self.supply()) {
                Step::Call(first) => first.wake_task(),
                Step::TurnOut(waiter, fate) => waiter.announce(fate, now),
                Step::Watch(watchers) => {
                    let watchers = watchers.iter().flatten();
                    return watchers.for_each(|(watcher, due)| watcher.watch(*due, now));
                }
            }
        }
    }

    /// Refuses all that wait, and everybody who comes; tells whether it is closed only now.
    pub(crate) fn close_line(&self, now: Moment) -> bool {
        let was_open = self.line.close();
        while let Some(waiter) = self.line.dismiss() {
            waiter.announce(Fate::Closed, now);
        }
        was_open
    }
}
