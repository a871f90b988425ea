//! What all clones of a handle share: the slots, beside what it has in common with the others of its component.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use buttress_core::{Name, Priority, Rejected};
use buttress_timer::nanos;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::component::Component;
use crate::event::Event;
use crate::permit::Ending;
use crate::snapshot::{ClassSnapshot, Snapshot};
use crate::state::{Claim, Fate, Notice, Occupancy, PerClass, Slots, State};
use crate::waiter::Waiter;

pub(crate) struct Shared {
    pub(crate) state: State<Arc<Waiter>>,
    max_wait_nanos: AtomicU64,
    drained: Notify,
    pub(crate) component: Arc<Component>,
}

impl Shared {
    pub(crate) fn of(component: Arc<Component>) -> Self {
        let config = component.config;
        let slots = Slots::new(config.max_concurrent, config.reserved);
        Self {
            state: State::new(slots, config.terms),
            max_wait_nanos: AtomicU64::new(nanos(config.max_wait)),
            drained: Notify::new(),
            component,
        }
    }

    pub(crate) fn name(&self) -> Name {
        self.component.name
    }

    /// Whether it is as good as new, as nobody holds a slot or waits: as it was configured, and not closed.
    pub(crate) fn is_as_configured(&self) -> bool {
        let config = &self.component.config;
        let limit = self.state.slots.occupancy().limit();
        limit == config.max_concurrent
            && self.state.capacity() == config.terms.capacity
            && self.max_wait_nanos.load(Ordering::Relaxed) == nanos(config.max_wait)
    }

    /// Takes a slot, if one is free for a call of this class; asks for the class only where slots are reserved.
    #[inline(always)]
    pub(crate) fn try_take(&self, priority: impl FnOnce() -> Priority) -> Option<Claim> {
        if self.state.slots.reserved() > 0 {
            return self.try_take_of_reserved(priority());
        }
        let taken = self.state.slots.take_unreserved();
        taken.then_some(Claim::ORDINARY)
    }

    #[inline(never)]
    fn try_take_of_reserved(&self, priority: Priority) -> Option<Claim> {
        let claim = self.state.claim(priority);
        if self.state.slots.take(claim).is_some() {
            return Some(claim);
        }
        // Those that wait may be waiting for slots that are not kept for the highest class.
        (claim == Claim::TOP)
            .then(|| self.state.take_before_lower(priority))
            .flatten()
    }

    /// Whether a call that finds no slot may wait for one at all.
    #[inline]
    pub(crate) fn may_wait(&self) -> bool {
        self.state.capacity() > 0 && self.max_wait_nanos.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn max_wait(&self) -> Duration {
        Duration::from_nanos(self.max_wait_nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn set_max_wait(&self, max_wait: Duration) {
        self.max_wait_nanos
            .store(nanos(max_wait), Ordering::Relaxed);
    }

    /// Refuses a call that asked and may not wait. By reference: the caller copies it to where it belongs, once.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&self) -> &Rejected {
        self.component.refusals.note();
        if self.component.refusals.need_explaining() {
            self.explain_refusal()
        } else {
            self.component.refusals.when_full()
        }
    }

    #[cold]
    #[inline(never)]
    fn explain_refusal(&self) -> &Rejected {
        let rejected = if self.state.slots.occupancy().is_closed() {
            self.component.refusals.when_closed()
        } else {
            self.component.refusals.when_full()
        };
        self.component
            .refusals
            .tell(*rejected, &self.component.listener);
        rejected
    }

    /// Counts and tells that a call leaves without a slot, and says what it gets.
    #[cold]
    #[inline(never)]
    pub(crate) fn turn_away(&self, fate: Fate) -> Rejected {
        let rejected = self.component.refusals.of(fate);
        self.component.refusals.note();
        self.component
            .refusals
            .tell(rejected, &self.component.listener);
        rejected
    }

    /// Gives those their turn who have it.
    #[cold]
    pub(crate) fn serve(&self, now: Instant) {
        let mut more = true;
        self.deliver_all(|| {
            let notice = more.then(|| self.state.serve(now)).flatten()?;
            // Spares the usual grant a second look under the lock.
            more = !matches!(notice, Notice::Granted(_)) || self.state.slots.may_be_granted();
            Some(notice)
        });
        self.watch(now);
        self.announce_if_drained();
    }

    /// Lets somebody watch over the oldest grant, if there is one.
    pub(crate) fn watch(&self, now: Instant) {
        if let Some((watchers, due)) = self.state.watch() {
            let watchers = watchers.iter().flatten();
            watchers.for_each(|watcher| watcher.set_at_latest(due, now));
        }
    }

    /// Delivers one notice after the other.
    fn deliver_all(&self, next: impl FnMut() -> Option<Notice<Arc<Waiter>>>) {
        std::iter::from_fn(next).for_each(|notice| self.deliver(notice));
    }

    /// Wakes whoever a notice is for, and tells the observer, whose panic is none of whoever comes by. No lock is held.
    pub(crate) fn deliver(&self, notice: Notice<Arc<Waiter>>) {
        match notice {
            Notice::Granted(waiter) => waiter.wake_task(),
            Notice::TurnedOut(waiter, fate) => {
                self.component.refusals.note();
                waiter.wake_task();
                let rejected = self.component.refusals.of(fate);
                self.component.refusals.log(rejected);
                self.component
                    .listener
                    .tell_contained(&Event::Refused { rejected });
            }
            Notice::Revoked(priority) => {
                self.component
                    .listener
                    .tell_contained(&Event::Revoked { priority });
            }
        }
    }

    pub(crate) fn resize(&self, max_concurrent: u32) {
        self.state.slots.resize(max_concurrent);
        self.serve(Instant::now());
        self.component.tell(Event::Resized { max_concurrent });
    }

    pub(crate) fn resize_queue(&self, queue: u32) {
        self.state.resize_queue(queue);
        self.serve(Instant::now());
        self.component.tell(Event::QueueResized { queue });
    }

    pub(crate) fn close(&self) {
        self.component.refusals.close();
        let closed = self.state.slots.close();
        self.deliver_all(|| self.state.dismiss());
        self.announce_if_drained();
        if closed {
            self.component.tell(Event::Closed);
        }
    }

    pub(crate) async fn drained(&self) {
        loop {
            let mut told = std::pin::pin!(self.drained.notified());
            told.as_mut().enable();
            if self.state.slots.watch().in_flight() == 0 {
                return;
            }
            told.await;
        }
    }

    /// Ends a call: its slot is free.
    #[inline(always)]
    pub(crate) fn end(&self, claim: Claim, ending: Ending) {
        self.component.ended.add(ending.0);
        let before = self.state.slots.give_back(claim);
        if before.concerns_somebody() {
            self.pass_on(before);
        }
    }

    #[cold]
    #[inline(never)]
    fn pass_on(&self, before: Occupancy) {
        if before.was_the_last_and_watched() {
            self.announce_drained();
        }
        if before.is_waited_for() {
            self.serve(Instant::now());
        }
    }

    fn announce_if_drained(&self) {
        let now = self.state.slots.occupancy();
        if now.is_watched() && now.in_flight() == 0 {
            self.announce_drained();
        }
    }

    fn announce_drained(&self) {
        self.state.slots.unwatch();
        self.drained.notify_waiters();
    }

    /// A call waited this long for its slot.
    pub(crate) fn note_wait(&self, waited: Duration) {
        self.component.waits.record(waited);
    }

    /// The figures of the classes.
    pub(crate) fn classes(&self) -> PerClass<ClassSnapshot> {
        self.state.classes().map(ClassSnapshot::new)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let occupancy = self.state.slots.occupancy();
        let [succeeded, failed, neutral] = self.component.ended.sums();
        let (active, limit) = (occupancy.in_flight(), self.state.slots.configured());
        let classes = self.classes();
        Snapshot {
            name: self.name(),
            active_calls: active,
            max_concurrent: limit,
            queued_calls: classes.iter().map(|(_, class)| class.queued_calls).sum(),
            rejected_calls: self.component.refusals.count(),
            utilization_percent: 100.0 * f64::from(active) / f64::from(limit),
            success_count: succeeded,
            failure_count: failed,
            neutral_count: neutral,
            closed: occupancy.is_closed(),
            max_queued: self.state.capacity(),
            classes,
            waits: self.component.waits.snapshot(),
        }
    }
}

impl Drop for Shared {
    /// One of many that goes with its key: what it has counted stays.
    fn drop(&mut self) {
        if self.component.keyed {
            self.component.remember(&self.classes());
        }
    }
}
