//! The clock of a run, which everybody reads the same way.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Counts time from the instant a run starts.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts `delay` from now, so that everybody can be ready.
    pub fn starting_in(delay: Duration) -> Self {
        Self {
            start: Instant::now() + delay,
        }
    }

    pub const fn start(self) -> Instant {
        self.start
    }

    /// The time since the start; zero before it.
    pub fn now(self) -> Duration {
        self.start.elapsed()
    }

    pub async fn reaches(self, time: Duration) {
        sleep_until(self.start + time).await;
    }
}
