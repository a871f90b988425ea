use std::time::{Duration, SystemTime};

use buttress_core::{Condition, Keeping, Level, Name};
use buttress_sync::atomic::Ordering;
use tokio::time::Instant;

use crate::gate::Slots;
use crate::rung::Ask;
use crate::shared::Shared;

/// The figures of a chain at one moment. Counts are exact when nothing is running.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub name: Name,
    /// Its levels, in the order in which they are asked.
    pub levels: Vec<LevelSnapshot>,
    /// How often no level has answered.
    pub exhausted: u64,
    /// How many calls went to another level first, so that it is known to work.
    pub exercised: u64,
    /// Bytes of requests that are kept for the next level at this moment.
    pub kept_bytes: usize,
}

/// The figures of a level.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LevelSnapshot {
    /// The level.
    pub level: Level,
    /// How many answers came from it.
    pub served: u64,
    /// How often it was asked in vain.
    pub failed: u64,
    /// How many calls it has at this moment; none counted where they have no limit here.
    pub active_calls: u32,
    /// The most that it may have.
    pub max_concurrent: Option<u32>,
    /// How many answers are kept in this process.
    pub entries: usize,
    /// How many bytes they are.
    pub bytes: usize,
    /// How long ago it last answered. Of the primary, and of levels that answer without a wait, nobody reads the clock: what came
    /// between two snapshots counts as of the second.
    pub last_success: Option<Duration>,
}

impl Snapshot {
    pub(crate) fn of<Req, T, E, K: Keeping>(
        shared: &Shared<Req, T, E, K>,
        now: Instant,
        looks: &mut Looks,
    ) -> Self {
        let since_start = now.saturating_duration_since(shared.start);
        let mut levels = Vec::with_capacity(shared.rungs.len());
        for (place, rung) in shared.rungs.iter().enumerate() {
            let mut served = rung.served.load(Ordering::Relaxed);
            if place == 0 {
                served += shared.primary_count();
            }
            let (entries, bytes) = match &rung.asks {
                Ask::Cache(cache) => cache.size(),
                _ => (0, 0),
            };
            let noted = rung.last.load(Ordering::Relaxed).checked_sub(1);
            let noted = noted.map(Duration::from_nanos);
            let last = looks.at(place, served, noted, since_start);
            levels.push(LevelSnapshot {
                level: rung.level,
                served,
                failed: rung.failed.load(Ordering::Relaxed),
                active_calls: rung.slots.as_ref().map_or(0, Slots::taken),
                max_concurrent: rung.slots.as_ref().map(Slots::most),
                entries,
                bytes,
                last_success: last.map(|last| since_start.saturating_sub(last)),
            });
        }
        let exhausted = shared.exhausted.load(Ordering::Relaxed);
        looks.judge(&levels, exhausted);
        Self {
            name: shared.name,
            levels,
            exhausted,
            exercised: shared.exercised.load(Ordering::Relaxed),
            kept_bytes: shared.memory.used(),
        }
    }

    /// How many answers came from below the primary.
    #[must_use]
    pub fn degraded(&self) -> u64 {
        let below = self.levels.iter().skip(1);
        below.map(|level| level.served).sum()
    }
}

impl LevelSnapshot {
    /// When it last answered, for display only.
    pub(crate) fn last_success_at(&self) -> Option<SystemTime> {
        SystemTime::now().checked_sub(self.last_success?)
    }
}

/// What the last snapshot has seen: how far the counts were, and when they had last grown.
pub(crate) struct Looks {
    seen: Vec<(u64, Option<Duration>)>,
    counts: Counts,
    condition: Condition,
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Counts {
    primary: u64,
    /// How often the primary was asked in vain.
    fell: u64,
    exhausted: u64,
}

impl Looks {
    pub(crate) fn new(levels: usize) -> Self {
        Self {
            seen: vec![(0, None); levels],
            counts: Counts::default(),
            condition: Condition::Up,
        }
    }

    /// When a level last answered, since the start.
    fn at(
        &mut self,
        place: usize,
        served: u64,
        noted: Option<Duration>,
        now: Duration,
    ) -> Option<Duration> {
        let (count, last) = self.seen.get_mut(place)?;
        if noted.is_some() {
            *last = noted.max(*last);
        } else if served > *count {
            *last = Some(now);
        }
        *count = served;
        *last
    }

    /// By what has happened since the last look, if anything has.
    fn judge(&mut self, levels: &[LevelSnapshot], exhausted: u64) {
        let counts = Counts {
            primary: levels.first().map_or(0, |level| level.served),
            fell: levels.first().map_or(0, |level| level.failed),
            exhausted,
        };
        let fell = counts.fell - self.counts.fell;
        let lost = counts.exhausted - self.counts.exhausted;
        if counts != self.counts {
            self.condition = match (counts.primary > self.counts.primary, fell, lost) {
                (_, 0, 0) => Condition::Up,
                (false, fell, lost) if lost >= fell.max(1) => Condition::Down,
                _ => Condition::Degraded,
            };
        }
        self.counts = counts;
    }

    pub(crate) const fn condition(&self) -> Condition {
        self.condition
    }
}
