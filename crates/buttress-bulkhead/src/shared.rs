//! What all clones of a handle share: the slots, the counts, and whoever listens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use buttress_core::{Listener, Name, Reason, Rejected, Verdict};
use buttress_sync::{OncePerSecond, Striped};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::config::Config;
use crate::event::Event;
use crate::snapshot::Snapshot;
use crate::state::Slots;

const TARGET: &str = "buttress::bulkhead";

pub(crate) struct Shared {
    name: Name,
    pub(crate) slots: Slots,
    ended: Striped<{ Ending::KINDS }>,
    rejected: AtomicU64,
    /// Whether a refusal has more to say than "full": it was closed, or somebody listens.
    explains: AtomicBool,
    when_full: Rejected,
    when_closed: Rejected,
    listener: Listener<Event>,
    refusals: OncePerSecond,
    origin: Instant,
    drained: Notify,
}

/// What is counted of a call that ended: the place of its counter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending(usize);

impl Ending {
    const KINDS: usize = 3;
    const SUCCEEDED: Self = Self(0);
    const FAILED: Self = Self(1);
    pub(crate) const NEUTRAL: Self = Self(2);
    /// No call ends like this: it stands in a permit that has been given back.
    pub(crate) const SETTLED: Self = Self(usize::MAX);

    #[inline]
    pub(crate) const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::SUCCEEDED,
            Verdict::Neutral => Self::NEUTRAL,
            _ => Self::FAILED,
        }
    }
}

impl Shared {
    pub(crate) fn new(name: Name, config: Config, listener: Listener<Event>) -> Self {
        let refusal = |reason| Rejected::new(reason, name).with_retry_after(config.retry_after);
        Self {
            name,
            slots: Slots::new(config.max_concurrent),
            ended: Striped::new(),
            rejected: AtomicU64::new(0),
            explains: AtomicBool::new(listener.is_there()),
            when_full: refusal(Reason::Overloaded),
            when_closed: refusal(Reason::Unavailable),
            listener,
            refusals: OncePerSecond::default(),
            origin: Instant::now(),
            drained: Notify::new(),
        }
    }

    pub(crate) const fn name(&self) -> Name {
        self.name
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&self) -> Rejected {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        if self.explains.load(Ordering::Acquire) || LevelFilter::current() >= LevelFilter::DEBUG {
            self.explain_refusal()
        } else {
            self.when_full
        }
    }

    #[cold]
    #[inline(never)]
    fn explain_refusal(&self) -> Rejected {
        let closed = self.slots.occupancy().is_closed();
        let rejected = if closed {
            self.when_closed
        } else {
            self.when_full
        };
        self.log_refusal(rejected);
        self.listener.tell(&Event::Refused { rejected });
        rejected
    }

    pub(crate) fn close(&self) {
        // First, so that nobody is told "full" by what is closed.
        self.explains.store(true, Ordering::Release);
        if self.slots.close() {
            self.tell(Event::Closed);
        }
    }

    pub(crate) async fn drained(&self) {
        loop {
            let mut told = std::pin::pin!(self.drained.notified());
            told.as_mut().enable();
            if self.slots.watch().in_flight() == 0 {
                return;
            }
            told.await;
        }
    }

    /// Ends a call: its slot is free.
    #[inline(always)]
    pub(crate) fn end(&self, ending: Ending) {
        self.ended.add(ending.0);
        if self.slots.give_back() {
            self.announce_drained();
        }
    }

    #[cold]
    fn announce_drained(&self) {
        self.slots.unwatch();
        self.drained.notify_waiters();
    }

    /// At most one line a second; it says how many refusals there were since the last.
    fn log_refusal(&self, rejected: Rejected) {
        if !tracing::enabled!(target: TARGET, Level::DEBUG) {
            return;
        }
        let now = Instant::now()
            .saturating_duration_since(self.origin)
            .as_nanos();
        if let Some(refused) = self.refusals.take(u64::try_from(now).unwrap_or(u64::MAX)) {
            let reason = rejected.reason();
            tracing::debug!(target: TARGET, name = %self.name, refused, %reason, "refusing");
        }
    }

    #[cold]
    pub(crate) fn tell(&self, event: Event) {
        tracing::info!(target: TARGET, name = %self.name, ?event);
        self.listener.tell(&event);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let occupancy = self.slots.occupancy();
        let [succeeded, failed, neutral] = self.ended.sums();
        let (active, limit) = (occupancy.in_flight(), self.slots.configured());
        Snapshot {
            name: self.name,
            active_calls: active,
            max_concurrent: limit,
            queued_calls: 0,
            rejected_calls: self.rejected.load(Ordering::Relaxed),
            utilization_percent: 100.0 * f64::from(active) / f64::from(limit),
            success_count: succeeded,
            failure_count: failed,
            neutral_count: neutral,
            closed: occupancy.is_closed(),
        }
    }
}
