//! What all clones of a handle share: the limits, what was learned, the counts, and whoever listens.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Deadline, Listener, Name, Reason, Rejected};
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_sync::{Directory, Entry, OncePerSecond, Random};
use buttress_timer::{Moment, nanos};
use tokio::time::Instant;
use tracing::Level;

use crate::call::Fixed;
use crate::config::Config;
use crate::event::{Event, Phase};
use crate::limits::Limits;
use crate::snapshot::Snapshot;
use crate::state::{Allowance, Outcome, State, Trial, Turn};

const TARGET: &str = "buttress::timeout";

/// Where calls under a fixed limit find their handle: they need it only to say that they were cut.
pub(crate) static HANDLES: Directory<Shared> = Directory::new();

pub(crate) struct Shared {
    pub(crate) name: Name,
    pub(crate) limits: Limits,
    /// Whether the next service is told of the deadline.
    pub(crate) announces: bool,
    /// What was learned; nothing where the limits are fixed.
    pub(crate) state: Option<Box<State>>,
    pub(crate) entry: Entry<Self>,
    /// What plain calls take along where the limits are fixed.
    pub(crate) fixed: Option<Fixed>,
    start: Instant,
    timed_out: AtomicU64,
    deadline_exceeded: AtomicU64,
    listener: Listener<Event>,
    logged: OncePerSecond,
}

impl Shared {
    pub(crate) fn new(name: Name, config: &Config, listener: Listener<Event>) -> Arc<Self> {
        let seed = || {
            config
                .seed
                .unwrap_or_else(|| Random::from_entropy().next_u64())
        };
        let entry = HANDLES.number();
        let state = config.rule().map(|rule| Box::new(State::new(rule, seed())));
        let fixed = state.is_none().then(|| Fixed {
            name,
            number: entry.number(),
            limit: nanos(config.limits.to_head(false)),
        });
        let shared = Arc::new(Self {
            name,
            limits: config.limits,
            announces: config.announce,
            state,
            entry,
            fixed,
            start: Instant::now(),
            timed_out: AtomicU64::new(0),
            deadline_exceeded: AtomicU64::new(0),
            listener,
            logged: OncePerSecond::default(),
        });
        if shared.fixed.is_some() {
            shared.entry.enter(&shared);
        }
        shared
    }

    /// The moment of a reading of the clock.
    #[inline]
    pub(crate) fn moment(&self, now: Instant) -> Moment {
        Moment::after_start(now.saturating_duration_since(self.start))
    }

    /// So long after a moment, as the clock shows it.
    pub(crate) fn instant(&self, moment: Moment, wait: Duration) -> Instant {
        let since_start = Duration::from_nanos(moment.plus(wait).nanos());
        Deadline::after(self.start, since_start).instant()
    }

    /// How long a call that starts now may take.
    #[inline]
    pub(crate) fn allow(&self, now: Moment, has_head: bool) -> Allowance {
        let limit = self.limits.to_head(has_head);
        match &self.state {
            None => Allowance {
                limit,
                trial: Trial::None,
            },
            Some(state) => {
                let learned = state.allow(now);
                Allowance {
                    limit: learned.limit.min(limit),
                    trial: learned.trial,
                }
            }
        }
    }

    /// Takes in how a call ended that started then.
    #[inline]
    pub(crate) fn settle(&self, trial: Trial, outcome: Outcome, started: Moment, now: Moment) {
        if let Some(state) = &self.state
            && let Some(turn) = state.settle(trial, outcome, now.since(started), now)
        {
            self.tell_turn(turn);
        }
    }

    /// Takes in what calls took that were not made through a layer.
    pub(crate) fn record(&self, outcome: Outcome, took: Duration) {
        let now = self.moment(Instant::now());
        if let Some(state) = &self.state
            && let Some(turn) = state.settle(Trial::None, outcome, took, now)
        {
            self.tell_turn(turn);
        }
    }

    /// The timeout of this moment, for a call that has no head.
    pub(crate) fn timeout(&self) -> Duration {
        let longest = self.limits.longest();
        let learned = self.state.as_ref().map(|state| state.timeout());
        learned.map_or(longest, |learned| learned.min(longest))
    }

    /// What becomes of a call that came after its deadline.
    #[cold]
    pub(crate) fn refuse(&self) -> Rejected {
        let rejected = self.count(Reason::DeadlineExceeded);
        self.log(rejected, "refusing");
        self.listener.tell(&Event::Refused { rejected });
        rejected
    }

    /// What becomes of a call that took too long in this phase.
    #[cold]
    pub(crate) fn cut(&self, reason: Reason, phase: Phase) -> Rejected {
        let rejected = self.count(reason);
        self.log(rejected, phase.as_str());
        self.listener.tell(&Event::Cut { phase, rejected });
        rejected
    }

    fn count(&self, reason: Reason) -> Rejected {
        let count = match reason {
            Reason::TimedOut => &self.timed_out,
            _ => &self.deadline_exceeded,
        };
        count.fetch_add(1, Ordering::Relaxed);
        Rejected::new(reason, self.name)
    }

    /// At most one line a second; it says how many calls there were since the last.
    fn log(&self, rejected: Rejected, what: &'static str) {
        if !tracing::enabled!(target: TARGET, Level::DEBUG) {
            return;
        }
        let now = Instant::now().saturating_duration_since(self.start);
        if let Some(calls) = self.logged.take(nanos(now)) {
            let reason = rejected.reason();
            tracing::debug!(target: TARGET, name = %self.name, calls, %reason, what, "cutting");
        }
    }

    #[cold]
    fn tell_turn(&self, (turn, timeout): (Turn, Duration)) {
        let event = match turn {
            Turn::Frozen => {
                tracing::warn!(target: TARGET, name = %self.name, ?timeout, "frozen: too many calls are cut to learn from");
                Event::Frozen { timeout }
            }
            Turn::Resumed => {
                tracing::info!(target: TARGET, name = %self.name, ?timeout, "learning again");
                Event::Resumed { timeout }
            }
        };
        self.listener.tell(&event);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let seen = self.state.as_ref().map(|state| {
            let (seen, turn) = state.look(self.moment(Instant::now()));
            turn.into_iter().for_each(|turn| self.tell_turn(turn));
            seen
        });
        let [p50, p95, p99, p999] = seen
            .as_ref()
            .map(|seen| seen.quantiles([0.5, 0.95, 0.99, 0.999]))
            .unwrap_or_default();
        Snapshot {
            name: self.name,
            p50,
            p95,
            p99,
            p999,
            samples: seen.as_ref().map_or(0, |seen| seen.count()),
            current_timeout: self.timeout(),
            adaptive_enabled: self.state.is_some(),
            timed_out: self.timed_out.load(Ordering::Relaxed),
            deadline_exceeded: self.deadline_exceeded.load(Ordering::Relaxed),
        }
    }
}
