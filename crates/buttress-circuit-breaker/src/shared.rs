//! What all clones of a handle share: the machine, the clock it is told, the counts, and whoever listens.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use buttress_core::{Name, Observer, Reason, Rejected, Verdict};
use buttress_sync::{Random, Striped};
use tokio::time::Instant;

use crate::config::Config;
use crate::event::{Cause, Event};
use crate::snapshot::Snapshot;
use crate::state::{Admission, Entry, Machine, Mode, Moment, Outcome};
use crate::telling;

pub(crate) struct Shared {
    name: Name,
    machine: Machine,
    ended: Striped<KINDS>,
    origin: Instant,
    random: Random,
    observer: Option<Box<dyn Observer<Event>>>,
    off_path: OffPath,
}

/// What only refusals, failures and onlookers touch.
#[derive(Debug, Default)]
struct OffPath {
    /// When a call last failed, in nanoseconds plus one; zero while none has.
    last_failure: AtomicU64,
    /// Calls that ended, and calls that were refused, up to the last reset.
    before_reset: [AtomicU64; KINDS + 1],
    refusals: telling::Refusals,
}

// What is counted of the calls that ended.
const KINDS: usize = 3;
const SUCCEEDED: usize = 0;
const FAILED: usize = 1;
const NEUTRAL: usize = 2;

impl Shared {
    pub(crate) fn new(
        name: Name,
        config: Config,
        seed: Option<u64>,
        observer: Option<Box<dyn Observer<Event>>>,
    ) -> Self {
        Self {
            name,
            machine: Machine::new(config),
            ended: Striped::new(),
            origin: Instant::now(),
            random: seed.map_or_else(Random::from_entropy, Random::seeded),
            observer,
            off_path: OffPath::default(),
        }
    }

    pub(crate) const fn name(&self) -> Name {
        self.name
    }

    /// Lets a call in: one load while the breaker is closed.
    #[inline]
    pub(crate) fn admit(&self) -> Result<Entry, Rejected> {
        match self.machine.admit() {
            Some(entry) => Ok(entry),
            None => self.admit_slowly(),
        }
    }

    fn now(&self) -> Moment {
        Moment::after_start(Instant::now().saturating_duration_since(self.origin))
    }

    /// When a call starts, if anybody will ask.
    #[inline]
    pub(crate) fn start_of_call(&self) -> Moment {
        match self.machine.config().slow_after {
            None => Moment::START,
            Some(_) => self.now(),
        }
    }

    #[cold]
    #[inline(never)]
    fn admit_slowly(&self) -> Result<Entry, Rejected> {
        let now = self.now();
        let Admission { entry, event } = self.machine.admit_slowly(now, || self.random.next_u64());
        self.tell(event);
        entry.map_err(|wait| self.refuse(wait, now))
    }

    fn refuse(&self, wait: Duration, now: Moment) -> Rejected {
        let rejected = Rejected::new(Reason::Unavailable, self.name).with_retry_after(wait);
        self.off_path.refusals.log(self.name, wait, now);
        if let Some(observer) = &self.observer {
            observer.observe(&Event::Refused { rejected });
        }
        rejected
    }

    /// Ends a call whose end is known.
    #[inline]
    pub(crate) fn settle(&self, entry: Entry, started: Moment, verdict: Verdict) {
        let quick = self.machine.config().slow_after.is_none();
        if matches!(verdict, Verdict::Success)
            && quick
            && self.machine.is_indifferent_to_success(entry)
        {
            self.ended.add(SUCCEEDED);
        } else {
            self.settle_fully(entry, started, verdict);
        }
    }

    #[inline(never)]
    fn settle_fully(&self, entry: Entry, started: Moment, verdict: Verdict) {
        let config = self.machine.config();
        let needs_time = config.slow_after.is_some() || self.machine.has_time_window();
        let now = needs_time.then(|| self.now());
        let slow = self.is_slow(started, now);
        self.finish(entry, Outcome::of(verdict, slow, config), now);
    }

    /// Ends a call whose end nobody saw.
    #[cold]
    pub(crate) fn abandon(&self, entry: Entry, started: Moment) {
        let config = self.machine.config();
        let now = config.slow_after.is_some().then(|| self.now());
        let slow = self.is_slow(started, now);
        self.finish(entry, Outcome::of_abandoned(slow, config), now);
    }

    fn is_slow(&self, started: Moment, now: Option<Moment>) -> bool {
        let limit = self.machine.config().slow_after;
        limit
            .zip(now)
            .is_some_and(|(limit, now)| now.since(started) >= limit)
    }

    #[inline]
    fn finish(&self, entry: Entry, outcome: Outcome, now: Option<Moment>) {
        self.ended.add(match outcome {
            Outcome::Success { .. } => SUCCEEDED,
            Outcome::Failure { .. } => FAILED,
            Outcome::AbandonedSlow | Outcome::Nothing => NEUTRAL,
        });
        let good = matches!(outcome, Outcome::Success { .. });
        if good && !entry.is_probe() {
            if let Some(cause) = self.judge(entry, outcome, now) {
                self.trip(entry, cause, outcome, now);
            }
        } else {
            self.finish_badly(entry, outcome, now);
        }
    }

    #[cold]
    fn finish_badly(&self, entry: Entry, outcome: Outcome, now: Option<Moment>) {
        let now = now.unwrap_or_else(|| self.now());
        if outcome.failed() {
            self.off_path
                .last_failure
                .store(now.nanos().saturating_add(1), Ordering::Relaxed);
        }
        if entry.is_probe() {
            let draw = self.random.next_u64();
            self.tell(self.machine.settle_probe(entry, outcome, now, draw));
        } else if let Some(cause) = self.judge(entry, outcome, Some(now)) {
            self.trip(entry, cause, outcome, Some(now));
        }
    }

    #[inline]
    fn judge(&self, entry: Entry, outcome: Outcome, now: Option<Moment>) -> Option<Cause> {
        match entry.mode() {
            Mode::Closed | Mode::Ramping | Mode::MetricsOnly => {
                self.machine.record(entry, outcome, now)
            }
            _ => None,
        }
    }

    #[cold]
    fn trip(&self, entry: Entry, cause: Cause, outcome: Outcome, now: Option<Moment>) {
        let now = now.unwrap_or_else(|| self.now());
        let draw = self.random.next_u64();
        self.tell(self.machine.trip(entry, cause, outcome.hint(), now, draw));
    }

    /// Remembers what is known of a call so far. Only a probe has a limit at which that matters.
    #[cold]
    pub(crate) fn note(&self, entry: Entry, started: Moment, verdict: Verdict) {
        let now = self.now();
        let slow = self.is_slow(started, Some(now));
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
            if let Some(observer) = &self.observer {
                observer.observe(&event);
            }
        }
    }

    pub(crate) fn forget_counts(&self) {
        let refused = self.machine.figures(self.now()).refused;
        let counts = self.ended.sums().into_iter().chain([refused]);
        for (before, count) in std::iter::zip(&self.off_path.before_reset, counts) {
            before.store(count, Ordering::Relaxed);
        }
        self.off_path.last_failure.store(0, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let figures = self.machine.figures(now);
        let [succeeded, failed, neutral] = self.ended.sums();
        let [succeeded, failed, neutral, refused] =
            self.since_reset([succeeded, failed, neutral, figures.refused]);
        // For people to read: the breaker's own clock, laid beside the wall's.
        let wall = SystemTime::now();
        let wall_clock = |moment: Moment| wall.checked_sub(now.since(moment)).unwrap_or(wall);
        Snapshot {
            name: self.name,
            state: figures.mode.state(),
            failure_count: failed,
            success_count: succeeded,
            consecutive_failures: figures.consecutive_failures,
            neutral_count: neutral,
            refused_count: refused,
            last_failure_time: self.last_failure().map(wall_clock),
            last_state_change: wall_clock(figures.changed_at),
            transitions: figures.generation,
            failure_rate: figures.failure_rate,
            slow_call_rate: figures.slow_rate,
            probes_in_flight: figures.probes_in_flight,
            open_for: figures.open_for,
        }
    }

    fn since_reset(&self, counts: [u64; KINDS + 1]) -> [u64; KINDS + 1] {
        let mut since = counts;
        for (count, before) in std::iter::zip(&mut since, &self.off_path.before_reset) {
            *count = count.saturating_sub(before.load(Ordering::Relaxed));
        }
        since
    }

    fn last_failure(&self) -> Option<Moment> {
        let nanos = self
            .off_path
            .last_failure
            .load(Ordering::Relaxed)
            .checked_sub(1)?;
        Some(Moment::from_nanos(nanos))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name)
            .field("machine", &self.machine)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
