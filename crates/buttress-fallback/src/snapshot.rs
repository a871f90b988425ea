use std::time::{Duration, SystemTime};

use buttress_core::{Keeping, Level, Name};
use buttress_sync::atomic::Ordering;
use tokio::time::Instant;

use crate::gate::Slots;
use crate::looks::Looks;
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
    /// How many calls were given up because their caller's deadline had passed.
    pub expired: u64,
    /// How many calls went to another level first, so that it is known to work.
    pub exercised: u64,
    /// How many answers of caches were fresh: as good as one of the primary.
    pub fresh: u64,
    /// Bytes of requests that are kept for the next level at this moment.
    pub kept_bytes: usize,
    /// How many bytes of answers are on their way into a cache at this moment.
    pub copied_bytes: usize,
}

/// The figures of a level.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LevelSnapshot {
    /// The level.
    pub level: Level,
    /// How many answers came from it, good or not: all that were not moved on from.
    pub served: u64,
    /// How often it was asked in vain, or there was no time for it.
    pub failed: u64,
    /// How often the call went on, or ended, with nothing said against it: it was full, a component of ours refused the call, nothing was
    /// kept, or the request could not be sent again.
    pub passed_over: u64,
    /// How many calls it has at this moment; none counted where they have no limit here.
    pub active_calls: u32,
    /// The most that it may have.
    pub max_concurrent: Option<u32>,
    /// How many answers are kept in this process.
    pub entries: usize,
    /// How many bytes they are.
    pub bytes: usize,
    /// How long ago it last answered well. Of the primary, and of levels that answer without a wait, nobody reads the clock: what came
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
        looks.saw(&shared.untimed(), since_start);
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
            let last = noted.max(looks.last(place));
            levels.push(LevelSnapshot {
                level: rung.level,
                served,
                failed: rung.failed.load(Ordering::Relaxed),
                passed_over: rung.passed_over.load(Ordering::Relaxed),
                active_calls: rung.slots.as_ref().map_or(0, Slots::taken),
                max_concurrent: rung.slots.as_ref().map(Slots::most),
                entries,
                bytes,
                last_success: last.map(|last| since_start.saturating_sub(last)),
            });
        }
        Self {
            name: shared.name,
            levels,
            exhausted: shared.exhausted.load(Ordering::Relaxed),
            expired: shared.expired.load(Ordering::Relaxed),
            exercised: shared.exercised.load(Ordering::Relaxed),
            fresh: shared.fresh.load(Ordering::Relaxed),
            kept_bytes: shared.memory.used(),
            copied_bytes: shared.copies.used(),
        }
    }

    /// How often calls went on without a level.
    pub(crate) fn passed_over(&self) -> u64 {
        self.levels.iter().map(|level| level.passed_over).sum()
    }

    /// How many answers were less than what was asked for: those from below the primary that were not fresh.
    #[must_use]
    pub fn degraded(&self) -> u64 {
        let below = self.levels.iter().skip(1);
        let below: u64 = below.map(|level| level.served).sum();
        below.saturating_sub(self.fresh)
    }
}

impl LevelSnapshot {
    /// When it last answered, for display only.
    pub(crate) fn last_success_at(&self) -> Option<SystemTime> {
        SystemTime::now().checked_sub(self.last_success?)
    }
}
