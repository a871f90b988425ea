//! What a limit says when it does not let a call in.

use std::sync::atomic::{AtomicU64, Ordering};

use buttress_core::{Listener, Name, Reason, Rejected};
use buttress_sync::OncePerSecond;
use buttress_timer::Moment;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::event::Event;

pub(crate) const TARGET: &str = "buttress::rate_limit";

/// Counts refusals, and tells of them.
pub(crate) struct Refusals {
    name: Name,
    count: AtomicU64,
    listener: Listener<Event>,
    logged: OncePerSecond,
}

impl Refusals {
    pub(crate) fn new(name: Name, listener: Listener<Event>) -> Self {
        Self {
            name,
            count: AtomicU64::new(0),
            listener,
            logged: OncePerSecond::default(),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// A refusal that is told: come back after `wait`, in nanoseconds; never, when nothing is said.
    #[inline]
    pub(crate) fn throttled(&self, wait: Option<u64>, now: Moment) -> Rejected {
        self.count.fetch_add(1, Ordering::Relaxed);
        if self.is_heard() {
            // Made anew there: one that is shown to somebody goes through memory.
            self.tell_throttled(wait, now);
        }
        self.throttling(wait)
    }

    /// Counts a refusal, and tells of it where anybody listens.
    #[inline]
    pub(crate) fn note(&self, rejected: Rejected, now: Moment) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if self.is_heard() {
            self.tell(rejected, now);
        }
    }

    #[inline]
    fn is_heard(&self) -> bool {
        self.listener.is_there() || LevelFilter::current() >= LevelFilter::DEBUG
    }

    #[inline]
    fn throttling(&self, wait: Option<u64>) -> Rejected {
        let rejected = Rejected::new(Reason::Throttled, self.name);
        match wait {
            Some(wait) => rejected.with_retry_after_nanos(wait),
            None => rejected,
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_throttled(&self, wait: Option<u64>, now: Moment) {
        self.tell(self.throttling(wait), now);
    }

    /// The same of a call that is not that of this task: a panic of the observer would hit somebody who has no part in it.
    pub(crate) fn note_contained(&self, rejected: Rejected, now: Moment) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.log(rejected, now);
        self.listener.tell_contained(&Event::Refused { rejected });
    }

    #[cold]
    #[inline(never)]
    fn tell(&self, rejected: Rejected, now: Moment) {
        self.log(rejected, now);
        self.listener.tell(&Event::Refused { rejected });
    }

    /// At most one line a second; it says how many refusals there were since the last.
    fn log(&self, rejected: Rejected, now: Moment) {
        if !tracing::enabled!(target: TARGET, Level::DEBUG) {
            return;
        }
        if let Some(refused) = self.logged.take(now.nanos()) {
            let (name, reason) = (rejected.component(), rejected.reason());
            tracing::debug!(target: TARGET, %name, refused, %reason, "refusing");
        }
    }

    /// Tells of a change.
    #[cold]
    pub(crate) fn announce(&self, event: Event) {
        tracing::info!(target: TARGET, name = %self.name, ?event);
        self.listener.tell(&event);
    }
}
