//! What everybody writes first: a percentile of the calls that were answered. Those that were cut vanish from it.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Name, Reason, Rejected};
use buttress_sync::Mutex;
use tokio::time::{Instant, timeout};

/// How many answered calls are remembered.
const REMEMBERED: usize = 1000;
/// How many must be there.
const LEAST: usize = 100;
/// How long a percentile stands before it is taken anew.
const STANDS_FOR: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct Naive(Arc<Mutex<Memory>>);

struct Memory {
    times: VecDeque<Duration>,
    current: Duration,
    looked: Instant,
}

impl Default for Naive {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Memory {
            times: VecDeque::new(),
            current: Duration::from_secs(60),
            looked: Instant::now(),
        })))
    }
}

impl Naive {
    pub(super) fn current(&self) -> Duration {
        self.0.lock().current
    }

    pub(super) async fn call(
        self,
        call: impl Future<Output = Result<(), Rejected>>,
    ) -> Result<(), Rejected> {
        let start = Instant::now();
        match timeout(self.current(), call).await {
            Ok(result) => {
                self.0.lock().note(start.elapsed());
                result
            }
            Err(_) => Err(Rejected::new(Reason::TimedOut, Name::new("naive"))),
        }
    }
}

impl Memory {
    fn note(&mut self, took: Duration) {
        self.times.push_back(took);
        if self.times.len() > REMEMBERED {
            self.times.pop_front();
        }
        if self.times.len() >= LEAST && self.looked.elapsed() >= STANDS_FOR {
            self.looked = Instant::now();
            let mut sorted: Vec<_> = self.times.iter().copied().collect();
            sorted.sort_unstable();
            self.current = sorted[sorted.len() * 95 / 100].mul_f64(1.5);
        }
    }
}
