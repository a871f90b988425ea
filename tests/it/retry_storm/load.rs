//! Calls that come at random, whatever becomes of those before them, and what became of them second by second.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_sync::Random;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Service, ServiceExt};

/// Longer than four attempts and the waits between them.
const LAST_CALL: Duration = Duration::from_secs(5);

// === Chance ===

/// Seeded chance, shared by all that happens in a run.
#[derive(Clone)]
pub(super) struct Chance(Arc<Random>);

impl Chance {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Arc::new(Random::seeded(seed)))
    }

    /// In 0..1.
    pub(super) fn unit(&self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponentially distributed: the time to the next of events that know nothing of each other.
    pub(super) fn exponential(&self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.unit()).ln())
    }

    fn one_of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[(self.0.next_u64() % all.len() as u64) as usize]
    }
}

// === Counts ===

/// A count for each second of a run.
#[derive(Clone, Default)]
pub(super) struct PerSecond(Arc<Mutex<Vec<u64>>>);

impl PerSecond {
    pub(super) fn add(&self, at: Duration) {
        let (second, mut counts) = (at.as_secs() as usize, self.0.lock().unwrap());
        if counts.len() <= second {
            counts.resize(second + 1, 0);
        }
        counts[second] += 1;
    }

    pub(super) fn of(&self, second: u64) -> u64 {
        let counts = self.0.lock().unwrap();
        counts.get(second as usize).copied().unwrap_or_default()
    }

    pub(super) fn within(&self, seconds: Range<u64>) -> u64 {
        seconds.map(|second| self.of(second)).sum()
    }
}

/// Calls by the second of their first attempt, whenever they ended.
#[derive(Clone, Default)]
pub(super) struct Cohorts {
    pub(super) calls: PerSecond,
    pub(super) succeeded: PerSecond,
}

impl Cohorts {
    /// The share of calls that succeeded, in percent.
    pub(super) fn success(&self, seconds: Range<u64>) -> f64 {
        let succeeded = self.succeeded.within(seconds.clone());
        100.0 * succeeded as f64 / self.calls.within(seconds) as f64
    }
}

// === The load ===

/// How many calls come in a second, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) rate: u32,
    pub(super) end: Duration,
}

impl Load {
    /// Lets each call come to one of the clients (a Poisson process for each of them), and waits until the last call is over.
    pub(super) async fn offer<S>(self, clients: &[S], chance: &Chance) -> Cohorts
    where
        S: Service<(), Future: Send> + Clone + Send + 'static,
    {
        let (start, cohorts) = (Instant::now(), Cohorts::default());
        let mut arrival = Duration::ZERO;
        loop {
            arrival += chance.exponential(Duration::from_secs(1) / self.rate);
            if arrival >= self.end {
                break;
            }
            sleep_until(start + arrival).await;
            cohorts.calls.add(arrival);
            let call = chance.one_of(clients).clone().oneshot(());
            let succeeded = cohorts.succeeded.clone();
            tokio::spawn(async move {
                if call.await.is_ok() {
                    succeeded.add(arrival);
                }
            });
        }
        sleep(LAST_CALL).await;
        cohorts
    }
}

/// Runs a simulation: on this thread, as fast as it goes, and on a clock of its own.
pub(super) fn simulate<T>(simulation: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulation)
}
