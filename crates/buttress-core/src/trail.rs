use std::fmt;
use std::time::Duration;

use crate::{Outcome, Tried};

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

    /// Nothing was asked in vain.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tried: [Tried::NONE; Self::MOST],
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
        let tried = self.as_slice();
        let any = tried
            .iter()
            .any(|tried| matches!(tried.outcome(), Outcome::Refused(_)));
        any && tried.iter().all(|tried| tried.outcome().is_passed_over())
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
    use crate::{Level, Reason};

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
}
