//! What of a chain can only be told by looking more than once: when something was last counted of which nobody read the clock, and how
//! the chain fares.

use std::time::Duration;

use buttress_core::Condition;

/// What was counted when somebody looked.
pub(crate) struct Looks {
    /// Of each level how many answers without a time there were, and since when at the latest.
    untimed: Vec<(u64, Option<Duration>)>,
    /// What the next condition is compared with, and what the one after that.
    base: Counts,
    next: Look,
    condition: Condition,
}

#[derive(Clone, Copy)]
struct Look {
    at: Duration,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// How often a primary answered.
    pub(crate) primary: u64,
    /// How often it was asked in vain.
    pub(crate) fell: u64,
    /// How often no level answered.
    pub(crate) exhausted: u64,
}

/// For so long at least, and at most for twice as long where somebody looks all the time, a failure makes a chain look degraded.
const PERIOD: Duration = Duration::from_secs(5);

impl Looks {
    pub(crate) fn new(levels: usize) -> Self {
        Self {
            untimed: vec![(0, None); levels],
            base: Counts::default(),
            next: Look {
                at: Duration::ZERO,
                counts: Counts::default(),
            },
            condition: Condition::Up,
        }
    }

    /// Takes in how many answers without a time there are now: what has come since the last look counts as of this one.
    pub(crate) fn saw(&mut self, counts: &[u64], now: Duration) {
        for ((seen, last), count) in self.untimed.iter_mut().zip(counts) {
            if count > seen {
                (*seen, *last) = (*count, Some(now));
            }
        }
    }

    /// When an answer without a time last came from this level, since the start.
    pub(crate) fn last(&self, place: usize) -> Option<Duration> {
        self.untimed.get(place)?.1
    }

    /// By what has happened in the last 5 to 10 s, or longer where nobody has looked meanwhile; what it was before, where nothing has.
    /// However many look, and how often, all are told the same.
    pub(crate) fn condition(&mut self, counts: Counts, now: Duration) -> Condition {
        if now.saturating_sub(self.next.at) >= PERIOD {
            self.base = self.next.counts;
            self.next = Look { at: now, counts };
        }
        if counts != self.base {
            self.condition = counts.since(self.base);
        }
        self.condition
    }
}

impl Counts {
    fn since(self, before: Self) -> Condition {
        let fell = self.fell.saturating_sub(before.fell);
        let lost = self.exhausted.saturating_sub(before.exhausted);
        match (self.primary > before.primary, fell, lost) {
            (_, 0, 0) => Condition::Up,
            (false, fell, lost) if lost >= fell.max(1) => Condition::Down,
            _ => Condition::Degraded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(primary: u64, fell: u64, exhausted: u64) -> Counts {
        Counts {
            primary,
            fell,
            exhausted,
        }
    }

    const fn second(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_look_does_not_change_what_the_next_one_sees() {
        let mut looks = Looks::new(1);
        for now in 0..5 {
            let condition = looks.condition(counts(9, 1, 0), second(now));
            assert_eq!(condition, Condition::Degraded, "{now}");
        }
        // It is forgotten once it is 5 to 10 s old and something else has happened.
        for now in 5..10 {
            let condition = looks.condition(counts(10, 1, 0), second(now));
            assert_eq!(condition, Condition::Degraded, "{now}");
        }
        for now in 10..20 {
            let condition = looks.condition(counts(11, 1, 0), second(now));
            assert_eq!(condition, Condition::Up, "{now}");
        }
        looks.condition(counts(11, 1, 0), second(30));
        let down = looks.condition(counts(11, 4, 3), second(31));
        assert_eq!(down, Condition::Down);
        let quiet = looks.condition(counts(11, 4, 3), second(100));
        assert_eq!(quiet, Condition::Down, "nothing has happened since");
    }

    #[test]
    fn answers_without_a_time_count_as_of_the_look_that_first_sees_them() {
        let mut looks = Looks::new(2);
        for (now, seen, last) in [
            (1, 0, None),
            (2, 1, Some(2)),
            (3, 1, Some(2)),
            (9, 2, Some(9)),
        ] {
            looks.saw(&[0, seen], second(now));
            assert_eq!((looks.last(0), looks.last(1)), (None, last.map(second)));
        }
    }
}
