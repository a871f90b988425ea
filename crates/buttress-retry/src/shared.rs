//! What all clones of a handle share: the policy, the budget, the counts, and whoever listens.

use std::time::Duration;

use buttress_core::{Again, Listener, Name, ReplayMemory, Verdict};
use buttress_sync::Random;
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_timer::nanos;
use tokio::time::Instant;

use crate::budget::{RetryBudget, RetryToken};
use crate::config::Config;
use crate::event::{Event, Stop};
use crate::snapshot::Snapshot;
use crate::state::{Attempts, Policy};

const TARGET: &str = "buttress::retry";

pub(crate) struct Shared {
    pub(crate) name: Name,
    pub(crate) policy: Policy,
    pub(crate) budget: RetryBudget,
    pub(crate) memory: ReplayMemory,
    pub(crate) wants_key: bool,
    pub(crate) announces: bool,
    random: Random,
    /// The fastest answer of a call with a deadline, in nanoseconds.
    fastest: AtomicU64,
    stopped: [AtomicU64; Stop::ALL.len()],
    listener: Listener<Event>,
}

impl Shared {
    pub(crate) fn new(
        name: Name,
        config: Config,
        budget: RetryBudget,
        listener: Listener<Event>,
    ) -> Self {
        Self {
            name,
            policy: Policy {
                retries: config.retries,
                backoff: config.backoff,
                total: config.total,
                throttled_base: config.throttled_base,
            },
            budget,
            memory: ReplayMemory::new(config.body_limit, config.body_memory),
            wants_key: config.idempotency_key,
            announces: config.announce,
            random: Random::from_entropy(),
            fastest: AtomicU64::new(u64::MAX),
            stopped: Default::default(),
            listener,
        }
    }

    /// Decides on a call that failed: how long to wait, and the token of the retry.
    #[cold]
    pub(crate) fn next(
        &self,
        call: &Attempts,
        again: Again,
        now: Instant,
    ) -> Result<(Duration, RetryToken), Option<Stop>> {
        let delay = self
            .policy
            .next(call, again, now, self.fastest(), &self.random)?;
        let token = self.budget.try_retry_at(now).ok_or(Stop::Budget)?;
        Ok((delay, token))
    }

    /// An attempt of a call with a deadline took this long.
    pub(crate) fn note_time(&self, taken: Duration) {
        self.fastest.fetch_min(nanos(taken), Ordering::Relaxed);
    }

    /// A key for a request that has none.
    pub(crate) fn key(&self) -> u128 {
        u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64())
    }

    #[cold]
    pub(crate) fn tell_retry(&self, retry: u32, delay: Duration, verdict: Verdict) {
        tracing::debug!(target: TARGET, name = %self.name, retry, ?delay, ?verdict, "retrying");
        self.listener.tell(&Event::Retried {
            retry,
            delay,
            verdict,
        });
    }

    #[cold]
    pub(crate) fn tell_stop(&self, retries: u32, why: Stop) {
        if let Some(count) = self.stopped.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(target: TARGET, name = %self.name, retries, ?why, "not retrying");
        self.listener.tell(&Event::Stopped { retries, why });
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let stopped = |why: Stop| {
            let count = self.stopped.get(why as usize);
            count.map_or(0, |count| count.load(Ordering::Relaxed))
        };
        Snapshot {
            name: self.name,
            budget: self.budget.snapshot(),
            stopped: Stop::ALL.map(|why| (why, stopped(why))),
            kept_bytes: self.memory.used(),
        }
    }

    /// Nothing, as long as no answer was seen.
    pub(crate) fn fastest(&self) -> Duration {
        match self.fastest.load(Ordering::Relaxed) {
            u64::MAX => Duration::ZERO,
            nanos => Duration::from_nanos(nanos),
        }
    }
}
