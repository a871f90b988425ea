//! What all clones of a handle share: the machine, the clock it is told, the counts, and whoever listens.

use std::fmt;
use std::mem;
use std::time::{Duration, SystemTime};

use buttress_core::{Listener, Name, Reason, Rejected, Verdict};
use buttress_sync::{OncePerSecond, Random};
use tokio::time::Instant;

use crate::config::{Config, Success};
use crate::counts::Counts;
use crate::event::{Cause, Event};
use crate::snapshot::{Snapshot, State};
use crate::state::{Admission, Entry, Machine, Mode, Outcome};
use crate::telling;
use buttress_timer::{Moment, nanos};

pub(crate) struct Shared {
    name: Name,
    machine: Machine,
    /// The time from which a call is slow, in nanoseconds; [`NEVER_SLOW`] where nobody asks.
    slow_after: u64,
    success: Success,
    counts: Counts,
    origin: Instant,
    random: Random,
    listener: Listener<Event>,
    refusals: OncePerSecond,
}

/// No call takes this long.
const NEVER_SLOW: u64 = u64::MAX;

impl Shared {
    pub(crate) fn new(
        name: Name,
        config: Config,
        seed: Option<u64>,
        listener: Listener<Event>,
    ) -> Self {
        Self {
            name,
            slow_after: config
                .slow_after
                .map_or(NEVER_SLOW, |limit| nanos(limit).min(NEVER_SLOW - 1)),
            success: config.success(),
            machine: Machine::new(config),
            counts: Counts::default(),
            origin: Instant::now(),
            random: seed.map_or_else(Random::from_entropy, Random::seeded),
            listener,
            refusals: OncePerSecond::default(),
        }
    }

    pub(crate) const fn name(&self) -> Name {
        self.name
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
        let Admission { entry, event } = self.machine.admit_slowly(now, || self.random.next_u64());
        let given_back_on_unwind = entry.ok().map(|entry| Unclaimed(self, entry, now));
        self.tell(event);
        mem::forget(given_back_on_unwind);
        entry.map_err(|wait| self.refuse(wait, now))
    }

    #[inline]
    fn refuse(&self, wait: u64, now: Moment) -> Rejected {
        let rejected = Rejected::new(Reason::Unavailable, self.name).with_retry_after_nanos(wait);
        if self.listener.is_there() || telling::may_be_heard() {
            self.tell_refusal(rejected, now);
        }
        rejected
    }

    #[cold]
    #[inline(never)]
    fn tell_refusal(&self, rejected: Rejected, now: Moment) {
        telling::log_refusal(&self.refusals, rejected, now);
        self.listener.tell(&Event::Refused { rejected });
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
            self.counts.add_success();
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
        self.counts.add_success();
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
        self.counts.add_success();
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

    /// Whether a call that ends now was slow.
    #[inline]
    const fn is_slow(&self, started: Moment, now: Moment) -> bool {
        now.nanos_since(started) >= self.slow_after
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
        let outcome = Outcome::of(verdict, slow, self.machine.config());
        self.finish(entry, outcome, now);
    }

    /// Ends a call whose end nobody saw.
    #[cold]
    #[inline(never)]
    pub(crate) fn abandon(&self, entry: Entry, started: Moment) {
        let now = self.now();
        let slow = self.is_slow(started, now);
        let outcome = Outcome::of_abandoned(slow, self.machine.config());
        self.finish(entry, outcome, now);
    }

    fn finish(&self, entry: Entry, outcome: Outcome, now: Moment) {
        self.counts.add(outcome, now);
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
        let draw = self.random.next_u64();
        self.tell(self.machine.settle_probe(entry, outcome, now, draw));
    }

    #[cold]
    #[inline(never)]
    fn trip(&self, entry: Entry, cause: Cause, hint: Option<Duration>, now: Moment) {
        let draw = || self.random.next_u64();
        self.tell(self.machine.trip(entry, cause, hint, now, draw));
    }

    /// Remembers what is known of a call so far. Only a probe has a limit at which that matters.
    #[cold]
    pub(crate) fn note(&self, entry: Entry, started: Moment, verdict: Verdict) {
        let now = self.now();
        let slow = self.is_slow(started, now);
        let outcome = Outcome::of(verdict, slow, self.machine.config());
        self.tell(
            self.machine
                .note(entry, outcome, now, self.random.next_u64()),
        );
    }

    #[cold]
    pub(crate) fn force(&self, mode: Mode) {
        self.tell(Some(self.machine.force(mode, self.now())));
    }

    /// No lock is held here: an observer may use the handle.
    fn tell(&self, event: Option<Event>) {
        if let Some(event) = event {
            telling::log(self.name, &event);
            self.listener.tell(&event);
        }
    }

    pub(crate) fn forget_counts(&self) {
        self.counts.reset(self.machine.figures(self.now()).refused);
    }

    pub(crate) fn state(&self) -> State {
        self.machine.word().mode().state()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let figures = self.machine.figures(now);
        let ended = self.counts.since_reset(figures.refused);
        // For people to read: the breaker's own clock, laid beside the wall's.
        let wall = SystemTime::now();
        let wall_clock = |moment: Moment| wall.checked_sub(now.since(moment)).unwrap_or(wall);
        Snapshot {
            name: self.name,
            state: figures.mode.state(),
            failure_count: ended.failed,
            success_count: ended.succeeded,
            consecutive_failures: figures.consecutive_failures,
            neutral_count: ended.neutral,
            refused_count: ended.refused,
            last_failure_time: self.counts.last_failure().map(wall_clock),
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

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name)
            .field("machine", &self.machine)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
