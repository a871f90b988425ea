//! What a bulkhead says when it does not let a call in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use buttress_core::{Listener, Name, Reason, Rejected};
use buttress_sync::OncePerSecond;
use buttress_timer::nanos;
use tokio::time::Instant;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::event::Event;
use crate::state::Fate;

pub(crate) const TARGET: &str = "buttress::bulkhead";

/// Counts refusals, tells of them, and keeps them ready-made.
pub(crate) struct Refusals {
    count: AtomicU64,
    /// Whether a refusal has more to say than "full": it was closed, or somebody listens.
    explains: AtomicBool,
    when_full: Rejected,
    when_closed: Rejected,
    logged: OncePerSecond,
    origin: Instant,
}

impl Refusals {
    pub(crate) fn new(name: Name, retry_after: Duration, listened_to: bool) -> Self {
        let refusal = |reason| Rejected::new(reason, name).with_retry_after(retry_after);
        Self {
            count: AtomicU64::new(0),
            explains: AtomicBool::new(listened_to),
            when_full: refusal(Reason::Overloaded),
            when_closed: refusal(Reason::Unavailable),
            logged: OncePerSecond::default(),
            origin: Instant::now(),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// From now on nobody is told "full" by what is closed.
    pub(crate) fn close(&self) {
        self.explains.store(true, Ordering::Release);
    }

    /// Counts a refusal.
    #[inline]
    pub(crate) fn note(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there is more to say than "full".
    #[inline]
    pub(crate) fn need_explaining(&self) -> bool {
        self.explains.load(Ordering::Acquire) || LevelFilter::current() >= LevelFilter::DEBUG
    }

    pub(crate) const fn when_full(&self) -> &Rejected {
        &self.when_full
    }

    pub(crate) const fn when_closed(&self) -> &Rejected {
        &self.when_closed
    }

    /// What a call gets that met this fate.
    pub(crate) const fn of(&self, fate: Fate) -> Rejected {
        match fate {
            Fate::Displaced | Fate::Expired => self.when_full,
            Fate::PastDeadline => {
                Rejected::new(Reason::DeadlineExceeded, self.when_full.component())
            }
            Fate::Closed => self.when_closed,
        }
    }

    /// Tells of a refusal that was counted.
    #[cold]
    pub(crate) fn tell(&self, rejected: Rejected, listener: &Listener<Event>) {
        self.log(rejected);
        listener.tell(&Event::Refused { rejected });
    }

    /// At most one line a second; it says how many refusals there were since the last.
    pub(crate) fn log(&self, rejected: Rejected) {
        if !tracing::enabled!(target: TARGET, Level::DEBUG) {
            return;
        }
        let now = Instant::now().saturating_duration_since(self.origin);
        if let Some(refused) = self.logged.take(nanos(now)) {
            let (name, reason) = (rejected.component(), rejected.reason());
            tracing::debug!(target: TARGET, %name, refused, %reason, "refusing");
        }
    }
}
