use buttress_bulkhead::{Bulkhead, RefusingBulkheadLayer};
use buttress_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer};

use super::eventually;

/// Both components around one service, to see what each knows of a call.
pub(crate) struct Guards {
    pub(crate) bulkhead: Bulkhead,
    pub(crate) breaker: CircuitBreaker,
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) success: u64,
    pub(crate) failure: u64,
    pub(crate) neutral: u64,
}

impl Counts {
    pub(crate) const SUCCESS: Self = Self::of(1, 0, 0);
    pub(crate) const FAILURE: Self = Self::of(0, 1, 0);
    pub(crate) const NEUTRAL: Self = Self::of(0, 0, 1);

    pub(crate) const fn of(success: u64, failure: u64, neutral: u64) -> Self {
        Self {
            success,
            failure,
            neutral,
        }
    }
}

impl Guards {
    /// Room for so many calls, and a breaker that never opens.
    pub(crate) fn new(slots: u32) -> Self {
        let breaker = CircuitBreaker::builder("observed").consecutive_failures(u32::MAX);
        Self {
            bulkhead: Bulkhead::builder("observed").max_concurrent(slots).build(),
            breaker: breaker.build(),
        }
    }

    /// The bulkhead outside, so that once its slot is free the breaker has counted too.
    pub(crate) fn layers(&self) -> (RefusingBulkheadLayer, CircuitBreakerLayer) {
        (self.bulkhead.refusing_layer(), self.breaker.layer())
    }

    /// The calls inside.
    pub(crate) fn active(&self) -> u32 {
        self.bulkhead.snapshot().active_calls
    }

    /// Waits until one more call is over, and tells how it ended; both components must agree.
    pub(crate) async fn next_ending(&self, before: Counts) -> Counts {
        eventually(|| self.active(), 0).await;
        let ended = self.counts();
        Counts::of(
            ended.success - before.success,
            ended.failure - before.failure,
            ended.neutral - before.neutral,
        )
    }

    pub(crate) fn counts(&self) -> Counts {
        let seen = self.bulkhead.snapshot();
        let bulkhead = Counts::of(seen.success_count, seen.failure_count, seen.neutral_count);
        let seen = self.breaker.snapshot();
        let breaker = Counts::of(seen.success_count, seen.failure_count, seen.neutral_count);
        assert_eq!(
            bulkhead, breaker,
            "the bulkhead (left) and the breaker (right) disagree"
        );
        bulkhead
    }
}
