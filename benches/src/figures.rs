//! What a call costs, in counts that repeat to the digit.

use std::ops::Sub;

use serde::Serialize;

/// What was counted over a number of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instructions executed.
    pub instructions: u64,
    /// Instructions with a lock prefix: global bus events.
    pub locked: u64,
    /// Calls of `clock_gettime`.
    pub clock_reads: u64,
    /// Calls of `malloc` and its kin.
    pub allocations: u64,
}

/// What one call costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Instructions executed.
    pub instructions: f64,
    /// Instructions with a lock prefix, the stand-in for contention.
    pub locked: f64,
    /// Readings of the clock.
    pub clock_reads: f64,
    /// Heap allocations.
    pub allocations: f64,
}

impl Figures {
    /// What one call costs, when a run of `calls` calls counted `short` and one of twice as many `long`: whatever a run does
    /// once cancels out.
    pub fn per_call(short: Counts, long: Counts, calls: u64) -> Self {
        let each =
            |count: fn(&Counts) -> u64| (count(&long) as f64 - count(&short) as f64) / calls as f64;
        Self {
            instructions: each(|counts| counts.instructions),
            locked: each(|counts| counts.locked),
            clock_reads: each(|counts| counts.clock_reads),
            allocations: each(|counts| counts.allocations),
        }
        .rounded()
    }

    /// Instructions to the nearest whole one, the rest to hundredths.
    ///
    /// A timer that fires, or a hash seed, may move a mean by a fraction of an instruction; what is left is exact.
    fn rounded(self) -> Self {
        let hundredths = |figure: f64| (figure * 100.0).round() / 100.0 + 0.0;
        Self {
            instructions: self.instructions.round() + 0.0,
            locked: hundredths(self.locked),
            clock_reads: hundredths(self.clock_reads),
            allocations: hundredths(self.allocations),
        }
    }
}

impl Sub for Figures {
    type Output = Self;

    fn sub(self, base: Self) -> Self {
        Self {
            instructions: self.instructions - base.instructions,
            locked: self.locked - base.locked,
            clock_reads: self.clock_reads - base.clock_reads,
            allocations: self.allocations - base.allocations,
        }
        .rounded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_does_once_cancels_out() {
        let short = Counts {
            instructions: 900 + 1000 * 42,
            locked: 7 + 1000 * 3,
            ..Counts::default()
        };
        let long = Counts {
            instructions: 900 + 2000 * 42,
            locked: 7 + 2000 * 3,
            ..Counts::default()
        };
        let expected = Figures {
            instructions: 42.0,
            locked: 3.0,
            ..Figures::default()
        };
        assert_eq!(Figures::per_call(short, long, 1000), expected);
    }

    #[test]
    fn instructions_are_whole_and_the_rest_keeps_hundredths() {
        let long = Counts {
            instructions: 42_499,
            locked: 3_040,
            clock_reads: 1,
            allocations: 0,
        };
        let figures = Figures::per_call(Counts::default(), long, 1000);
        let expected = Figures {
            instructions: 42.0,
            locked: 3.04,
            clock_reads: 0.0,
            allocations: 0.0,
        };
        assert_eq!(figures, expected);
    }

    #[test]
    fn a_base_is_subtracted_from_every_figure() {
        let all = |figure| Figures {
            instructions: figure,
            locked: figure,
            clock_reads: figure,
            allocations: figure,
        };
        assert_eq!(all(5.0) - all(3.0), all(2.0));
    }
}
