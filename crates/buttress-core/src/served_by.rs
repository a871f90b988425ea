use std::fmt;
use std::time::Duration;

use crate::{Reason, Verdict};

/// What an answer of a chain comes from, in the order in which the chain asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the order of a chain is the promise"
)]
#[repr(u8)]
pub enum Level {
    /// The service itself.
    Primary,
    /// Another that can do the same.
    Replica,
    /// Answers that several processes keep together.
    DistributedCache,
    /// Answers that this process keeps.
    LocalCache,
    /// A service that can do something like it.
    Backup,
    /// What is better than no answer.
    Default,
}

impl Level {
    /// Every level, the first of a chain first.
    pub const ALL: [Self; 6] = [
        Self::Primary,
        Self::Replica,
        Self::DistributedCache,
        Self::LocalCache,
        Self::Backup,
        Self::Default,
    ];

    /// The level in lower-case words with hyphens, for headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::DistributedCache => "distributed-cache",
            Self::LocalCache => "local-cache",
            Self::Backup => "backup",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says which level of a chain has answered, and what became of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by the chain, read by the edge: they must agree on every field"
)]
pub struct ServedBy {
    /// The level that has answered.
    pub level: Level,
    /// Its place in the chain, the primary's being 0.
    pub place: u8,
    /// Whether the answer is less than what was asked for: of no primary, nor one kept that is still fresh.
    pub degraded: bool,
    /// How old an answer is that was kept.
    pub age: Option<Duration>,
    /// The levels that were asked in vain, in the order in which they were asked.
    pub errors: Trail,
}

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

/// What became of the levels that were asked in vain. It stands where it is used, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trail {
    tried: [Tried; Self::MOST],
    len: u8,
    /// When the first of them may be asked again, in milliseconds and one more; 0 where none has said.
    again: u32,
}

impl Trail {
    /// The most levels that a chain has.
    pub const MOST: usize = 8;

    const NONE: Tried = Tried {
        level: Level::Primary,
        place: 0,
        outcome: Outcome::Failed,
        millis: 0,
    };

    /// Nothing was asked in vain.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tried: [Self::NONE; Self::MOST],
            len: 0,
            again: 0,
        }
    }

    /// Notes one more. What finds no room is left out: no chain is so long.
    pub fn push(&mut self, tried: Tried) {
        if let Some(place) = self.tried.get_mut(usize::from(self.len)) {
            *place = tried;
            self.len += 1;
        }
    }

    /// Notes that one of them has said when to come back. The soonest counts, to the millisecond above.
    pub fn come_back_after(&mut self, wait: Duration) {
        let millis = wait.as_nanos().div_ceil(1_000_000).saturating_add(1);
        let millis = u32::try_from(millis).unwrap_or(u32::MAX);
        if self.again == 0 || millis < self.again {
            self.again = millis;
        }
    }

    /// When to come back, if any of them has said so: as soon as one may be there again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let millis = self.again.checked_sub(1)?;
        Some(Duration::from_millis(millis.into()))
    }

    /// Whether nothing is known to be wrong below: all of them were refused by a component of ours, or had nothing for the request.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let is_refused = |tried: &Tried| match tried.outcome {
            Outcome::Refused(reason) => reason.verdict() != Verdict::Failure,
            Outcome::Missing | Outcome::NotReplayable => true,
            _ => false,
        };
        let tried = self.as_slice();
        let any = tried
            .iter()
            .any(|tried| matches!(tried.outcome, Outcome::Refused(_)));
        any && tried.iter().all(is_refused)
    }

    /// Those that were asked in vain, in the order in which they were asked.
    #[must_use]
    pub fn as_slice(&self) -> &[Tried] {
        self.tried.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Default for Trail {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, tried) in self.as_slice().iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{tried}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_keeps_its_order_and_its_bounds() {
        let mut trail = Trail::new();
        assert!(trail.as_slice().is_empty());
        for place in 0..10 {
            let took = Duration::from_millis(place.into());
            trail.push(Tried::new(Level::Replica, place, Outcome::Failed, took));
        }
        let places: Vec<u8> = trail.as_slice().iter().map(Tried::place).collect();
        assert_eq!(places, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(trail.to_string().ends_with("replica failed after 7 ms"));
    }

    #[test]
    fn the_soonest_time_to_come_back_counts() {
        let mut trail = Trail::new();
        assert_eq!(trail.retry_after(), None);
        for (wait, soonest) in [
            (
                Duration::MAX,
                Duration::from_millis(u64::from(u32::MAX) - 1),
            ),
            (Duration::from_micros(1500), Duration::from_millis(2)),
            (Duration::from_secs(1), Duration::from_millis(2)),
            (Duration::ZERO, Duration::ZERO),
        ] {
            trail.come_back_after(wait);
            assert_eq!(trail.retry_after(), Some(soonest));
        }
    }

    #[test]
    fn levels_that_were_refused_or_had_nothing_are_told_from_those_that_failed() {
        let overloaded = Outcome::Refused(Reason::Overloaded);
        for (outcomes, is_refused) in [
            (&[][..], false),
            (&[overloaded], true),
            (
                &[overloaded, Outcome::Missing, Outcome::NotReplayable],
                true,
            ),
            (&[Outcome::Missing], false),
            (&[overloaded, Outcome::Failed], false),
            (&[overloaded, Outcome::Overloaded], false),
            (&[overloaded, Outcome::Refused(Reason::TimedOut)], false),
        ] {
            let mut trail = Trail::new();
            for outcome in outcomes {
                trail.push(Tried::new(Level::Replica, 1, *outcome, Duration::ZERO));
            }
            assert_eq!(trail.is_refused(), is_refused, "{outcomes:?}");
        }
    }

    #[test]
    fn every_time_fits_and_a_try_is_one_word() {
        let tried = |took| Tried::new(Level::Backup, 3, Outcome::Missing, took);
        assert_eq!(tried(Duration::ZERO).took(), Duration::ZERO);
        let longest = Duration::from_millis(u32::MAX.into());
        assert_eq!(tried(Duration::MAX).took(), longest);
        assert_eq!(size_of::<Tried>(), 8);
    }
}
