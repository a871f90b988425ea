use std::time::Duration;

use tokio::time::Instant;

/// How long a grant waits to be taken up: as long as is set, and longer while that proves too short.
///
/// Without that a runtime in which polls come later than grants may wait would pass every grant on until nobody ever got in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    least: Duration,
    now: Duration,
}

/// How long it becomes at most, unless it is longer from the start.
const MOST: Duration = Duration::from_secs(1);

/// Which part of it each grant that is taken up in time takes away.
const LESS: u32 = 32;

impl Patience {
    pub(super) const fn new(least: Duration) -> Self {
        Self { least, now: least }
    }

    /// When a grant of this moment is overdue, if ever.
    pub(super) fn ends(self, granted: Instant) -> Option<Instant> {
        granted.checked_add(self.now)
    }

    pub(super) fn is_over(self, granted: Instant, now: Instant) -> bool {
        now.saturating_duration_since(granted) >= self.now
    }

    /// A grant that was taken back would have been taken up after so long: doubles, to no more than twice that.
    pub(super) fn grow(&mut self, late: Duration) {
        if late <= MOST {
            let enough = late.saturating_mul(2).min(MOST);
            let grown = self.now.saturating_mul(2).min(enough);
            self.now = self.now.max(grown);
        }
    }

    /// A grant was taken up in time.
    pub(super) fn shrink(&mut self) {
        let less = self.now.saturating_sub(self.now / LESS);
        self.now = less.max(self.least);
    }
}
