//! How long each phase of a call may take.

use std::time::Duration;

/// The limits of the phases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) head: Duration,
    /// As between the pieces, where nothing else was said.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) idle: Duration,
    /// Of the whole call; without one it may go on.
    pub(crate) total: Option<Duration>,
}

impl Limits {
    /// How long a call may take until its future ends: up to the head, where there is one.
    pub(crate) fn to_head(self, has_head: bool) -> Duration {
        let longest = self.longest();
        if has_head {
            longest.min(self.head)
        } else {
            longest
        }
    }

    /// How long a call may take that has no head, and the longest that what is learned may be.
    pub(crate) fn longest(self) -> Duration {
        self.total.unwrap_or(self.head)
    }

    pub(crate) fn first_byte(self) -> Duration {
        self.first_byte.unwrap_or(self.idle)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            first_byte: None,
            idle: Duration::from_secs(30),
            total: Some(Duration::from_secs(60)),
        }
    }
}
