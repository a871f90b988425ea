//! A server that is up to its load, until it stalls.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout};

use super::load::{Chance, PerSecond};

const WORKERS: usize = 20;
const MEAN_SERVICE_TIME: Duration = Duration::from_millis(20);

/// What a client gives an attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);

/// Twenty workers behind one queue without bound: first come, first served.
///
/// Nobody tells it that a caller has left, so it does the work of those, too. Then what comes later changes nothing for what came
/// before, and it is known at its arrival when a call will be done: one timer a call is the whole queue.
#[derive(Clone)]
pub(super) struct Server {
    start: Instant,
    stall: Range<Duration>,
    /// When each worker is free, in time that stands still while the server does.
    free: Arc<Mutex<BinaryHeap<Reverse<Duration>>>>,
    chance: Chance,
    pub(super) attempts: PerSecond,
}

impl Server {
    pub(super) fn new(stall: Range<Duration>, chance: Chance) -> Self {
        Self {
            start: Instant::now(),
            stall,
            free: Arc::new(Mutex::new([Reverse(Duration::ZERO); WORKERS].into())),
            chance,
            attempts: PerSecond::default(),
        }
    }

    /// An attempt: comes to the queue at once, and is waited for until it times out.
    pub(super) fn attempt(&self) -> impl Future<Output = Result<(), Elapsed>> + Send + use<> {
        let now = self.start.elapsed();
        self.attempts.add(now);
        timeout(ATTEMPT_TIMEOUT, sleep_until(self.start + self.accept(now)))
    }

    /// When the work that comes now will be done.
    fn accept(&self, now: Duration) -> Duration {
        let mut free = self.free.lock().unwrap();
        let Reverse(worker) = free.pop().expect("a worker");
        let done = worker.max(self.worked(now)) + self.chance.exponential(MEAN_SERVICE_TIME);
        free.push(Reverse(done));
        self.passed(done)
    }

    /// How long the server has worked after so much time.
    fn worked(&self, passed: Duration) -> Duration {
        let stalled = passed.clamp(self.stall.start, self.stall.end) - self.stall.start;
        passed - stalled
    }

    /// How much time passes until the server has worked so long.
    fn passed(&self, worked: Duration) -> Duration {
        if worked < self.stall.start {
            return worked;
        }
        worked + (self.stall.end - self.stall.start)
    }
}
