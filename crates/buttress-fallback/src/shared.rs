//! What all clones of a handle share: the levels, the counts, and whoever listens.

use std::time::Duration;

use buttress_core::{
    Condition, Deadline, Keeping, Level, Listener, Name, Outcome, Reason, Rejected, ReplayMemory,
    ServedBy, Sharing, Trail, Tried, Verdict,
};
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_sync::{Mutex, OncePerSecond, Striped};
use buttress_timer::nanos;
use tokio::time::Instant;
use tracing::Level as Weight;

use crate::config::Config;
use crate::course::Placed;
use crate::event::Event;
use crate::exercise::Exercise;
use crate::looks::{Counts, Looks};
use crate::rung::{Ask, Rung, Shelved};
use crate::snapshot::Snapshot;
use crate::source::Source;
use crate::state::{Times, Walk};

const TARGET: &str = "buttress::fallback";

pub(crate) struct Shared<Req, T, E, K: Keeping> {
    pub(crate) name: Name,
    /// The primary first, whether it is one of ours or the service below a layer.
    pub(crate) rungs: Vec<Rung<Req, T, E, K::Value>>,
    pub(crate) memory: ReplayMemory,
    /// For answers that are on their way into a cache.
    pub(crate) copies: ReplayMemory,
    pub(crate) announces: bool,
    /// Whether a call does more than to be counted before the primary is asked.
    pub(crate) has_preamble: bool,
    moves_on: Option<Box<dyn Fn(Verdict) -> bool + Send + Sync>>,
    total: Duration,
    exercise: Option<Exercise>,
    on_error: Option<Box<dyn Fn(Level, &E) + Send + Sync>>,
    listener: Listener<Event>,
    pub(crate) start: Instant,
    /// Answers of the primary, of which nobody reads the clock.
    primary: Striped<1>,
    pub(crate) exercised: AtomicU64,
    pub(crate) fresh: AtomicU64,
    pub(crate) exhausted: AtomicU64,
    pub(crate) expired: AtomicU64,
    logged: OncePerSecond,
    looks: Mutex<Looks>,
}

impl<Req, T, E, K: Keeping> Shared<Req, T, E, K> {
    pub(crate) fn new(
        name: Name,
        sources: Vec<(Level, Source<Req, T, E>)>,
        caches: Vec<Shelved<Req, K::Value>>,
        config: Config<E>,
    ) -> Self {
        let sources = sources.into_iter();
        let mut rungs: Vec<_> = sources
            .map(|(level, source)| Rung::of_source(level, source))
            .chain(caches.into_iter().map(Rung::of_cache))
            .collect();
        if !rungs.iter().any(|rung| rung.level == Level::Primary) {
            rungs.push(Rung::new(Level::Primary, Ask::Wrapped, None));
        }
        // Stable: of one kind they stay in the order given.
        rungs.sort_by_key(|rung| rung.level);
        if let (Some(primary), Some(time)) = (rungs.first_mut(), config.primary_time) {
            primary.time = Some(time);
        }
        let exercise = Exercise::new(config.exercise, config.seed, &rungs);
        let has_cache = rungs.iter().any(|rung| matches!(rung.asks, Ask::Cache(_)));
        Self {
            name,
            looks: Mutex::new(Looks::new(rungs.len())),
            rungs,
            memory: ReplayMemory::new(config.body_limit, config.body_memory),
            copies: ReplayMemory::new(usize::MAX, config.body_memory),
            announces: config.announce,
            has_preamble: exercise.is_some() || has_cache,
            moves_on: config.moves_on,
            total: config.total,
            exercise,
            on_error: config.on_error,
            listener: config.listener,
            start: Instant::now(),
            primary: Striped::new(),
            exercised: AtomicU64::new(0),
            fresh: AtomicU64::new(0),
            exhausted: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            logged: OncePerSecond::default(),
        }
    }

    /// All levels, none of which was asked yet.
    pub(crate) fn walk(&self) -> Walk {
        Walk::of(u8::try_from(self.rungs.len()).unwrap_or(u8::MAX))
    }

    /// The time of a call of which nobody has kept any yet, as its primary is asked.
    pub(crate) fn times(&self, now: Instant, deadline: Option<Deadline>) -> Times {
        Times::start(now, deadline, self.total)
    }

    /// The value that is there at once where the primary is not, if that is what comes next.
    #[inline]
    pub(crate) fn value_next(&self) -> Option<(Level, &(dyn Fn() -> T + Send + Sync))> {
        match self.rungs.get(1)? {
            Rung {
                level,
                asks: Ask::Value(make),
                ..
            } => Some((*level, make)),
            _ => None,
        }
    }

    /// How long the primary may take, where that was said.
    pub(crate) fn primary_time(&self) -> Option<Duration> {
        self.rungs.first().and_then(|rung| rung.time)
    }

    /// The place that a call goes to first, if it is one of those that do.
    pub(crate) fn draw_exercise(&self) -> Option<u8> {
        self.exercise.as_ref()?.draw()
    }

    /// Where the answer to a request is kept, by the place of each cache.
    pub(crate) fn shelves(&self, request: &Req, sharing: Sharing) -> Vec<Placed<K::Value>> {
        let shelf = |(place, rung): (u8, &Rung<Req, T, E, K::Value>)| match &rung.asks {
            Ask::Cache(cache) => Some((place, cache.shelf(request, sharing)?)),
            _ => None,
        };
        (0..).zip(&self.rungs).filter_map(shelf).collect()
    }

    /// `is_told` says that levels hear of their time from the chain: then a deadline that one of them has met may be its share alone, and
    /// whether the caller has gone is seen before the next is asked.
    pub(crate) fn moves_on(
        &self,
        verdict: Verdict,
        refusal: Option<Rejected>,
        is_told: bool,
    ) -> bool {
        match (verdict, refusal.map(|rejected| rejected.reason())) {
            (_, Some(Reason::DeadlineExceeded)) => is_told,
            // The caller's other call has the key.
            (_, Some(Reason::Conflict)) | (Verdict::Success, None) => false,
            (_, Some(_)) => true,
            (verdict, None) => match &self.moves_on {
                None => is_bad(verdict),
                Some(moves_on) => moves_on(verdict),
            },
        }
    }

    /// The primary has answered.
    #[inline(always)]
    pub(crate) fn primary_served(&self) {
        self.primary.add(0);
    }

    /// How often it has.
    pub(crate) fn primary_count(&self) -> u64 {
        self.primary.sums().into_iter().sum()
    }

    /// A level that the chain itself has asked has answered, when somebody looked.
    #[inline]
    pub(crate) fn served(&self, place: u8, now: Option<Instant>, by: impl FnOnce() -> ServedBy) {
        if let Some(rung) = self.rungs.get(usize::from(place)) {
            rung.served.fetch_add(1, Ordering::Relaxed);
            if let Some(now) = now {
                let since = now.saturating_duration_since(self.start);
                let since = nanos(since).saturating_add(1);
                rung.last.fetch_max(since, Ordering::Relaxed);
            }
        }
        let is_below = place > 0;
        if is_below
            && (self.listener.is_there() || tracing::enabled!(target: TARGET, Weight::DEBUG))
        {
            self.tell_served(by());
        }
    }

    #[cold]
    fn tell_served(&self, by: ServedBy) {
        tracing::debug!(target: TARGET, name = %self.name, level = %by.level, errors = %by.errors, "served by");
        self.listener.tell(&Event::Served { by });
    }

    /// A level was asked in vain, or passed over.
    pub(crate) fn failed(&self, place: u8, outcome: Outcome, took: Duration) -> Option<Tried> {
        let rung = self.rungs.get(usize::from(place))?;
        let count = if outcome.is_passed_over() {
            &rung.passed_over
        } else {
            &rung.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.tell_failed(place, outcome, took)
    }

    /// The same where nobody waits any more, which says nothing about the level: it is told of, and not counted.
    pub(crate) fn tell_failed(&self, place: u8, outcome: Outcome, took: Duration) -> Option<Tried> {
        let level = self.rungs.get(usize::from(place))?.level;
        let tried = Tried::new(level, place, outcome, took);
        if self.listener.is_there() {
            self.listener.tell(&Event::Failed { tried });
        }
        Some(tried)
    }

    pub(crate) fn show(&self, level: Level, error: &E) {
        if let Some(look) = &self.on_error {
            look(level, error);
        }
    }

    /// No level has answered; `refused` says that this is no failure of any.
    #[cold]
    pub(crate) fn tell_exhausted(&self, trail: &Trail, refused: Option<Rejected>) {
        let reason = refused.map(|refused| refused.reason());
        // That the caller has gone says nothing about the chain.
        if reason == Some(Reason::DeadlineExceeded) {
            self.expired.fetch_add(1, Ordering::Relaxed);
            self.listener.tell(&Event::Exhausted { trail: *trail });
            return;
        }
        self.exhausted.fetch_add(1, Ordering::Relaxed);
        if tracing::enabled!(target: TARGET, Weight::WARN) {
            let now = Instant::now().saturating_duration_since(self.start);
            if let Some(calls) = self.logged.take(nanos(now)) {
                tracing::warn!(target: TARGET, name = %self.name, calls, errors = %trail, "no level has answered");
            }
        }
        self.listener.tell(&Event::Exhausted { trail: *trail });
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        Snapshot::of(self, now, &mut self.looks.lock())
    }

    pub(crate) fn condition(&self) -> Condition {
        let now = Instant::now().saturating_duration_since(self.start);
        let mut looks = self.looks.lock();
        let primary = self.rungs.first();
        let of = |count: fn(&Rung<_, _, _, _>) -> &AtomicU64| {
            primary.map_or(0, |rung| count(rung).load(Ordering::Relaxed))
        };
        let counts = Counts {
            primary: self.primary_count() + of(|rung| &rung.served),
            fell: of(|rung| &rung.failed) + of(|rung| &rung.passed_over),
            exhausted: self.exhausted.load(Ordering::Relaxed),
        };
        looks.condition(counts, now)
    }

    /// How many answers each level has given of which nobody read the clock.
    pub(crate) fn untimed(&self) -> Vec<u64> {
        let of = |rung: &Rung<Req, T, E, K::Value>| match rung.asks {
            Ask::Value(_) => rung.served.load(Ordering::Relaxed),
            _ => 0,
        };
        let mut untimed: Vec<_> = self.rungs.iter().map(of).collect();
        if let Some(primary) = untimed.first_mut() {
            *primary += self.primary_count();
        }
        untimed
    }
}

/// The verdicts after which a chain moves on, unless something else is said.
const fn is_bad(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Failure | Verdict::Overloaded { .. })
}
