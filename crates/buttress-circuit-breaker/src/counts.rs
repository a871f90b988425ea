use std::sync::atomic::{AtomicU64, Ordering};

use buttress_sync::Striped;

use crate::state::Outcome;
use buttress_timer::Moment;

/// How calls ended, since the breaker was built and since it was reset.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    ended: Striped<KINDS>,
    /// When a call last failed, in nanoseconds plus one; zero while none has.
    last_failure: AtomicU64,
    /// What had been counted when the breaker was last reset.
    before_reset: [AtomicU64; KINDS],
    refused_before_reset: AtomicU64,
}

/// Figures since the last reset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) neutral: u64,
    pub(crate) refused: u64,
}

const KINDS: usize = 3;
const SUCCEEDED: usize = 0;
const FAILED: usize = 1;
const NEUTRAL: usize = 2;

impl Counts {
    /// Counts a success: all that a call costs here when nothing is wrong.
    #[inline]
    pub(crate) fn add_success(&self) {
        self.ended.add(SUCCEEDED);
    }

    pub(crate) fn add(&self, outcome: Outcome, now: Moment) {
        match outcome {
            Outcome::Success { .. } => self.ended.add(SUCCEEDED),
            Outcome::AbandonedSlow | Outcome::Nothing => self.ended.add(NEUTRAL),
            Outcome::Failure { .. } => {
                self.ended.add(FAILED);
                self.last_failure
                    .store(now.nanos().saturating_add(1), Ordering::Relaxed);
            }
        }
    }

    /// Begins to count from here. `refused` is counted elsewhere.
    pub(crate) fn reset(&self, refused: u64) {
        for (before, count) in std::iter::zip(&self.before_reset, self.ended.sums()) {
            before.store(count, Ordering::Relaxed);
        }
        self.refused_before_reset.store(refused, Ordering::Relaxed);
        self.last_failure.store(0, Ordering::Relaxed);
    }

    pub(crate) fn since_reset(&self, refused: u64) -> Ended {
        let since =
            |count: u64, before: &AtomicU64| count.saturating_sub(before.load(Ordering::Relaxed));
        let [succeeded, failed, neutral] = self.ended.sums();
        let [succeeded_before, failed_before, neutral_before] = &self.before_reset;
        Ended {
            succeeded: since(succeeded, succeeded_before),
            failed: since(failed, failed_before),
            neutral: since(neutral, neutral_before),
            refused: since(refused, &self.refused_before_reset),
        }
    }

    pub(crate) fn last_failure(&self) -> Option<Moment> {
        let nanos = self.last_failure.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Moment::from_nanos(nanos))
    }
}
