//! What all clones of a handle share: the machine, the line before it, the counts, and the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use buttress_core::{
    ConfigError, Deadline, Listener, Name, Quota, QuotaPolicy, QuotaSource, Reason, Rejected,
};
use buttress_sync::{Mutex, Striped};
use buttress_timer::Moment;
use tokio::time::Instant;

use crate::config::{Algorithm, Config};
use crate::event::Event;
use crate::rate::Rate;
use crate::refusals::Refusals;
use crate::snapshot::Snapshot;
use crate::state::line::{Fate, Line, Supply};
use crate::state::{Machine, Receipt, Wait, policy};
use crate::waiter::Waiter;

pub(crate) struct Shared {
    name: Name,
    algorithm: Algorithm,
    machine: Machine,
    pub(crate) line: Line<Arc<Waiter>>,
    admitted: Striped<1>,
    /// How many of the admitted were refused after all, as they could not start in time.
    withdrawn: AtomicU64,
    refusals: Refusals,
    origin: Instant,
    queue: u32,
    max_wait: Duration,
    /// That of the machine, for those who ask.
    rate: Mutex<Rate>,
}

impl Shared {
    pub(crate) fn new(
        name: Name,
        config: Config,
        listener: Listener<Event>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            name,
            algorithm: config.algorithm,
            machine: Machine::new(config.algorithm, config.rate)?,
            line: Line::new(config.queue),
            admitted: Striped::new(),
            withdrawn: AtomicU64::new(0),
            refusals: Refusals::new(name, listener),
            origin: Instant::now(),
            queue: config.queue,
            max_wait: config.max_wait,
            rate: Mutex::new(config.rate),
        })
    }

    pub(crate) const fn name(&self) -> Name {
        self.name
    }

    #[inline(always)]
    pub(crate) fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    #[inline(always)]
    pub(crate) fn moment(&self, at: Instant) -> Moment {
        Moment::after_start(at.saturating_duration_since(self.origin))
    }

    pub(crate) fn instant(&self, at: Moment) -> Instant {
        Deadline::after(self.origin, at.since(Moment::START)).instant()
    }

    pub(crate) const fn max_wait(&self) -> Duration {
        self.max_wait
    }

    pub(crate) const fn supply(&self) -> &impl Supply<Receipt = Receipt> {
        &self.machine
    }

    /// Takes so many units and makes a permit for them, or refuses; goes before nobody who waits.
    ///
    /// The permit is made in here: a receipt that is handed out goes through memory.
    #[inline(always)]
    pub(crate) fn take<P>(
        &self,
        units: u32,
        permit: impl FnOnce(Receipt) -> P,
    ) -> Result<P, Rejected> {
        let now = self.now();
        let taken = self.line.is_empty().then(|| self.machine.take(units, now));
        match taken {
            Some(Ok(receipt)) => {
                self.admitted.add(0);
                Ok(permit(receipt))
            }
            Some(Err(wait)) => Err(self.refuse(wait, now)),
            None => self.take_beside_line(units, now).map(permit),
        }
    }

    /// The same, without a word where it cannot be done at once.
    #[inline(always)]
    pub(crate) fn try_take(&self, units: u32) -> Option<Receipt> {
        if !self.line.is_empty() {
            return None;
        }
        let receipt = self.machine.take(units, self.now()).ok()?;
        self.admitted.add(0);
        Some(receipt)
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self, wait: Wait, now: Moment) -> Rejected {
        self.refusals.throttled(wait.nanos(), now)
    }

    #[cold]
    #[inline(never)]
    fn take_beside_line(&self, units: u32, now: Moment) -> Result<Receipt, Rejected> {
        match self.admit_beside_line(units, now) {
            Ok(receipt) => {
                self.admitted.add(0);
                Ok(receipt)
            }
            Err(fate) => Err(self.turn_away(fate, now)),
        }
    }

    /// Refuses a call for which nobody waits any more.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse_late(&self) -> Rejected {
        self.turn_away(Fate::PastDeadline, self.now())
    }

    pub(crate) fn note_admitted(&self) {
        self.admitted.add(0);
    }

    /// Refuses a call that has its units and could not start in time: it is counted as refused only, and they are given back.
    #[cold]
    #[inline(never)]
    pub(crate) fn withdraw(&self, mut receipt: Receipt, fate: Fate) -> Rejected {
        self.correct(&mut receipt, 0);
        self.withdrawn.fetch_add(1, Ordering::Relaxed);
        self.turn_away(fate, self.now())
    }

    /// What a call gets that met this fate.
    pub(crate) fn rejection(&self, fate: Fate, now: Moment) -> Rejected {
        let reason = match fate {
            Fate::Full { .. } | Fate::Expired { .. } | Fate::NeverFits => Reason::Throttled,
            Fate::PastDeadline => Reason::DeadlineExceeded,
            Fate::Closed => Reason::Unavailable,
        };
        let rejected = Rejected::new(reason, self.name);
        match fate {
            Fate::Full { turn: Some(turn) } | Fate::Expired { turn: Some(turn) } => {
                rejected.with_retry_after_nanos(turn.nanos_since(now))
            }
            // Nobody can tell: a second is as good as anything.
            Fate::Full { turn: None } | Fate::Expired { turn: None } | Fate::Closed => {
                rejected.with_retry_after(Duration::from_secs(1))
            }
            Fate::PastDeadline | Fate::NeverFits => rejected,
        }
    }

    /// Counts and tells that a call leaves without its units, and says what it gets.
    #[cold]
    #[inline(never)]
    pub(crate) fn turn_away(&self, fate: Fate, now: Moment) -> Rejected {
        let rejected = self.rejection(fate, now);
        self.refusals.note(rejected, now);
        rejected
    }

    /// Counts and tells the same of a call that is not that of this task.
    pub(crate) fn note_turned_out(&self, fate: Fate, now: Moment) {
        self.refusals.note_contained(self.rejection(fate, now), now);
    }

    /// A call has cost so much instead of what it took.
    pub(crate) fn correct(&self, receipt: &mut Receipt, units: u32) {
        let now = self.now();
        self.machine.correct(receipt, units, now);
        // Those who wait may have been told too late a moment.
        if !self.line.is_empty() {
            self.attend(now);
        }
    }

    pub(crate) fn set_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        self.algorithm.validate(rate)?;
        let now = self.now();
        {
            let mut current = self.rate.lock();
            self.machine.set_rate(self.algorithm, rate, now);
            *current = rate;
        }
        if !self.line.is_empty() {
            self.attend(now);
        }
        self.refusals.announce(Event::RateChanged { rate });
        Ok(())
    }

    pub(crate) fn close(&self) {
        if self.close_line(self.now()) {
            self.refusals.announce(Event::Closed);
        }
    }

    pub(crate) fn rate(&self) -> Rate {
        *self.rate.lock()
    }

    /// Whether a client may count on a number of calls in a time. Not at a leaky bucket: there calls come out one by one, and how many
    /// may come says its queue.
    pub(crate) fn has_quota(&self) -> bool {
        self.algorithm != Algorithm::LeakyBucket
    }

    /// Whether somebody who comes now may wait. At other limits than a leaky bucket that is up to the layer, and an exception.
    pub(crate) fn lets_wait(&self, snapshot: &Snapshot) -> bool {
        let turn = snapshot.waiting.saturating_add(1);
        self.algorithm == Algorithm::LeakyBucket
            && snapshot.waiting < self.queue
            && snapshot.rate.interval().saturating_mul(turn) <= self.max_wait
    }

    pub(crate) fn quota(&self) -> Quota {
        let level = self.machine.level(self.now());
        Quota {
            policy: self.policy(),
            remaining: level.remaining.into(),
            reset: Duration::from_nanos(level.clear_after),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let [admitted] = self.admitted.sums();
        let quota = self.quota();
        Snapshot {
            name: self.name,
            algorithm: self.algorithm,
            rate: self.rate(),
            limit: quota.policy.limit,
            remaining: quota.remaining,
            admitted_count: admitted.saturating_sub(self.withdrawn.load(Ordering::Relaxed)),
            refused_count: self.refusals.count(),
            waiting: self.line.waiting(),
            max_waiting: self.queue,
            closed: self.line.is_closed(),
        }
    }
}

impl QuotaSource for Shared {
    fn name(&self) -> Name {
        self.name
    }

    fn policy(&self) -> QuotaPolicy {
        policy(self.algorithm, self.rate())
    }
}
