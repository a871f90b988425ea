//! What all clones of a handle share: the machine, beside what it has in common with the others of its component.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::{Name, Reason, Rejected, Verdict};
use buttress_timer::{Moment, nanos};
use tokio::time::Instant;

use crate::component::Component;
use crate::config::Success;
use crate::event::Cause;
use crate::snapshot::{Snapshot, State};
use crate::state::{Admission, Entry, Machine, Mode, Outcome};

pub(crate) struct Shared {
    machine: Machine,
    // What an ordinary call looks at stands here as well, so that it looks into the component only to be counted.
    /// The time from which a call is slow, in nanoseconds; [`NEVER_SLOW`] where nobody asks.
    slow_after: u64,
    success: Success,
    origin: Instant,
    pub(crate) component: Arc<Component>,
}

/// No call takes this long.
const NEVER_SLOW: u64 = u64::MAX;

impl Shared {
    pub(crate) fn of(component: Arc<Component>) -> Self {
        let config = &component.config;
        Self {
            machine: Machine::new(Arc::clone(config)),
            slow_after: config
                .slow_after
                .map_or(NEVER_SLOW, |limit| nanos(limit).min(NEVER_SLOW - 1)),
            success: config.success(),
            origin: component.origin,
            component,
        }
    }

    pub(crate) fn name(&self) -> Name {
        self.component.name
    }

    /// Lets a call in: one load while the breaker is closed. The time of its start comes along where anybody will ask for it.
    #[inline]
    pub(crate) fn admit(&self) -> Result<(Entry, Moment), Rejected> {
        let word = self.machine.word();
        if word.is_plainly_closed() {
            Ok((Entry::of(word), Moment::START))
        } else if word.is_timed_and_closed() {
            Ok((Entry::of(word), self.now()))
        } else {
            self.admit_slowly()
        }
    }

    #[inline]
    fn now(&self) -> Moment {
        Moment::after_start(Instant::now().saturating_duration_since(self.origin))
    }

    /// Whether a call that ends now was slow.
    #[inline]
    const fn is_slow(&self, started: Moment, now: Moment) -> bool {
        now.nanos_since(started) >= self.slow_after
    }

    #[cold]
    #[inline(never)]
    fn admit_slowly(&self) -> Result<(Entry, Moment), Rejected> {
        let now = self.now();
        match self.machine.refusal(now) {
            Some(wait) => Err(self.refuse(wait, now)),
            None => self.admit_in_transition(now).map(|entry| (entry, now)),
        }
    }

    #[inline(never)]
    fn admit_in_transition(&self, now: Moment) -> Result<Entry, Rejected> {
        let Admission { entry, event } = self.machine.admit_slowly(now, || self.component.draw());
        let given_back_on_unwind = entry.ok().map(|entry| Unclaimed(self, entry, now));
        self.component.tell(event);
        mem::forget(given_back_on_unwind);
        entry.map_err(|wait| self.refuse(wait, now))
    }

    #[inline]
    fn refuse(&self, wait: u64, now: Moment) -> Rejected {
        let rejected =
            Rejected::new(Reason::Unavailable, self.component.name).with_retry_after_nanos(wait);
        if self.component.is_heard() {
            self.component.tell_refusal(rejected, now);
        }
        rejected
    }

    /// Ends a call that succeeded.
    #[inline(always)]
    pub(crate) fn succeed(&self, entry: Entry, started: Moment) {
        if self.success == Success::TakesTime {
            self.settle_timed_success(entry, started);
        } else if (self.success == Success::EndsStreak || self.machine.holds_good_calls(entry))
            && entry.is_plainly_closed()
            && self.machine.has_no_streak()
        {
            self.component.counts.add_success();
        } else {
            self.settle_success(entry);
        }
    }

    /// A success that may change something.
    #[inline(never)]
    fn settle_success(&self, entry: Entry) {
        if !entry.is_judged() {
            return self.settle(entry, Moment::START, Verdict::Success);
        }
        self.component.counts.add_success();
        if let Some(cause) = self.machine.record_success(entry, false, Moment::START) {
            self.trip(entry, cause, None, self.now());
        }
    }

    /// A success that needs the time.
    #[inline(never)]
    fn settle_timed_success(&self, entry: Entry, started: Moment) {
        if !entry.is_judged() {
            return self.settle(entry, started, Verdict::Success);
        }
        self.component.counts.add_success();
        let now = self.now();
        let cause = if self.is_slow(started, now) {
            self.record_slow_success(entry, now)
        } else {
            self.machine.record_success(entry, false, now)
        };
        if let Some(cause) = cause {
            self.trip(entry, cause, None, now);
        }
    }

    #[cold]
    #[inline(never)]
    fn record_slow_success(&self, entry: Entry, now: Moment) -> Option<Cause> {
        self.machine.record_success(entry, true, now)
    }

    /// Ends a call whose end is known.
    #[cold]
    #[inline(never)]
    pub(crate) fn settle(&self, entry: Entry, started: Moment, verdict: Verdict) {
        let now = self.now();
        let slow = self.is_slow(started, now);
        let outcome = Outcome::of(verdict, slow, &self.component.config);
        self.finish(entry, outcome, now);
    }

    /// Ends a call whose end nobody saw.
    #[cold]
    #[inline(never)]
    pub(crate) fn abandon(&self, entry: Entry, started: Moment) {
        let now = self.now();
        let slow = self.is_slow(started, now);
        let outcome = Outcome::of_abandoned(slow, &self.component.config);
        self.finish(entry, outcome, now);
    }

    fn finish(&self, entry: Entry, outcome: Outcome, now: Moment) {
        self.component.counts.add(outcome, now);
        if entry.is_probe() {
            self.settle_probe(entry, outcome, now);
        } else if entry.is_judged()
            && let Some(cause) = self.machine.record(entry, outcome, now)
        {
            self.trip(entry, cause, outcome.hint(), now);
        }
    }

    #[cold]
    fn settle_probe(&self, entry: Entry, outcome: Outcome, now: Moment) {
        let draw = self.component.draw();
        self.component
            .tell(self.machine.settle_probe(entry, outcome, now, draw));
    }

    #[cold]
    #[inline(never)]
    fn trip(&self, entry: Entry, cause: Cause, hint: Option<Duration>, now: Moment) {
        let draw = || self.component.draw();
        self.component
            .tell(self.machine.trip(entry, cause, hint, now, draw));
    }

    /// Remembers what is known of a call so far. Only a probe has a limit at which that matters.
    #[cold]
    pub(crate) fn note(&self, entry: Entry, started: Moment, verdict: Verdict) {
        let now = self.now();
        let slow = self.is_slow(started, now);
        let outcome = Outcome::of(verdict, slow, &self.component.config);
        self.component.tell(
            self.machine
                .note(entry, outcome, now, self.component.draw()),
        );
    }

    #[cold]
    pub(crate) fn force(&self, mode: Mode) {
        self.component
            .tell(Some(self.machine.force(mode, self.now())));
    }

    /// Counts from here on. Those of many keys are not for one of them to forget.
    pub(crate) fn forget_counts(&self) {
        if self.component.keyed {
            return;
        }
        self.component
            .counts
            .reset(self.machine.figures(self.now()).refused);
    }

    /// Whether it is as good as new, as far as calls know that have ended.
    pub(crate) fn is_clean(&self) -> bool {
        self.machine.is_clean(|| self.now())
    }

    /// Calls that it has refused.
    pub(crate) fn refused(&self) -> u64 {
        self.machine.refused()
    }

    pub(crate) fn state(&self) -> State {
        self.machine.word().mode().state()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let figures = self.machine.figures(now);
        let ended = self.component.counts.since_reset(figures.refused);
        // For people to read: the breaker's own clock, laid beside the wall's.
        let wall = SystemTime::now();
        let wall_clock = |moment: Moment| wall.checked_sub(now.since(moment)).unwrap_or(wall);
        Snapshot {
            name: self.component.name,
            state: figures.mode.state(),
            failure_count: ended.failed,
            success_count: ended.succeeded,
            consecutive_failures: figures.consecutive_failures,
            neutral_count: ended.neutral,
            refused_count: ended.refused,
            last_failure_time: self.component.counts.last_failure().map(wall_clock),
            last_state_change: wall_clock(figures.changed_at),
            transitions: figures.generation,
            failure_rate: figures.failure_rate,
            slow_call_rate: figures.slow_rate,
            probes_in_flight: figures.probes_in_flight,
            open_for: figures.open_for,
        }
    }
}

/// A call that was let in and has no permit yet: an observer that panics meanwhile must not cost a probe its place.
struct Unclaimed<'a>(&'a Shared, Entry, Moment);

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        self.0.abandon(self.1, self.2);
    }
}

impl Drop for Shared {
    /// One of many that goes with its key: what it has counted stays.
    fn drop(&mut self) {
        if self.component.keyed {
            self.component.remember_refusals(self.refused());
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.component.name)
            .field("machine", &self.machine)
            .field("counts", &self.component.counts)
            .finish_non_exhaustive()
    }
}
