use std::time::Duration;

use buttress_timer::Moment;

/// How long a call that was called may take to come: 10 ms, and longer while that proves too short.
///
/// Without that a runtime in which polls come later than that would pass over one call after the other, and waste units meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience(Duration);

/// How long it is at least.
pub(super) const LEAST: Duration = Duration::from_millis(10);

/// How long it becomes at most.
pub(super) const MOST: Duration = Duration::from_secs(1);

/// Which part of it each call that comes in time takes away.
pub(super) const LESS: u32 = 32;

impl Patience {
    pub(super) const fn new() -> Self {
        Self(LEAST)
    }

    /// When a call that was called at this moment is overdue.
    pub(super) fn ends(self, called: Moment) -> Moment {
        called.plus(self.0)
    }

    /// A call that was passed over came after so long: doubles, to no more than twice that.
    pub(super) fn grow(&mut self, late: Duration) {
        if late <= MOST {
            let enough = late.saturating_mul(2).min(MOST);
            let grown = self.0.saturating_mul(2).min(enough);
            self.0 = self.0.max(grown);
        }
    }

    /// A call came in time.
    pub(super) fn shrink(&mut self) {
        let less = self.0.saturating_sub(self.0 / LESS);
        self.0 = less.max(LEAST);
    }
}
