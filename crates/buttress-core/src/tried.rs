use std::fmt;
use std::time::Duration;

use crate::{Level, Reason, Verdict};

/// Says what became of one level that was asked in vain. Never what it answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    level: Level,
    place: u8,
    outcome: Outcome,
    millis: u32,
}

/// Why a level has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It failed.
    Failed,
    /// It has too much to do.
    Overloaded,
    /// Our quota there is spent.
    Throttled,
    /// Its answer says nothing about it, and was not wanted.
    Unclear,
    /// It answered, with an error that says nothing against it: a caller's own.
    Answered,
    /// A component of ours refused the call, or ended it.
    Refused(Reason),
    /// Nothing is kept there for this request.
    Missing,
    /// The request could not be sent a second time.
    NotReplayable,
}

impl Outcome {
    /// The outcome in lower-case words with hyphens, for answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Overloaded => "overloaded",
            Self::Throttled => "throttled",
            Self::Unclear => "unclear",
            Self::Answered => "answered",
            Self::Refused(reason) => reason.as_str(),
            Self::Missing => "missing",
            Self::NotReplayable => "not-replayable",
        }
    }

    /// Whether that says nothing against the level: a component of ours refused the call, or it had nothing for the request. A timeout of
    /// ours does.
    #[must_use]
    pub fn is_passed_over(self) -> bool {
        match self {
            Self::Refused(reason) => reason.verdict() != Verdict::Failure,
            Self::Missing | Self::NotReplayable => true,
            _ => false,
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::Answered,
            Verdict::Failure => Self::Failed,
            Verdict::Overloaded { .. } => Self::Overloaded,
            Verdict::Throttled { .. } => Self::Throttled,
            Verdict::Neutral => Self::Unclear,
        }
    }
}

impl Tried {
    /// What stands where nothing was tried.
    pub(crate) const NONE: Self = Self {
        level: Level::Primary,
        place: 0,
        outcome: Outcome::Failed,
        millis: 0,
    };

    /// Notes what became of a level.
    #[must_use]
    pub fn new(level: Level, place: u8, outcome: Outcome, took: Duration) -> Self {
        Self {
            level,
            place,
            outcome,
            millis: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
        }
    }

    /// The level.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Its place in the chain, the primary's being 0.
    #[must_use]
    pub const fn place(&self) -> u8 {
        self.place
    }

    /// Why it has not answered.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How long that took, in whole milliseconds.
    #[must_use]
    pub const fn took(&self) -> Duration {
        Duration::from_millis(self.millis as u64)
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome.as_str();
        write!(f, "{} {outcome} after {} ms", self.level, self.millis)
    }
}

impl fmt::Debug for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_fits_and_a_try_is_one_word() {
        let tried = |took| Tried::new(Level::Backup, 3, Outcome::Missing, took);
        assert_eq!(tried(Duration::ZERO).took(), Duration::ZERO);
        let longest = Duration::from_millis(u32::MAX.into());
        assert_eq!(tried(Duration::MAX).took(), longest);
        assert_eq!(size_of::<Tried>(), 8);
    }
}
