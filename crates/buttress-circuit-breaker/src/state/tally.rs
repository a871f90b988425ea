use crate::window::Share;

/// How many calls a window holds, and how many of them failed or were slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
}

impl Tally {
    /// The share of calls that failed, in 0..=1.
    pub(crate) fn failure_rate(self) -> f64 {
        ratio(self.failed, self.calls)
    }

    /// The share of calls that were slow, in 0..=1.
    pub(crate) fn slow_rate(self) -> f64 {
        ratio(self.slow, self.calls)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// When the calls of a window open the breaker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) minimum_calls: u64,
    pub(crate) failed: Option<Share>,
    pub(crate) slow: Option<Share>,
}

impl Rule {
    /// Why these calls open the breaker, if they do.
    pub(crate) fn broken_by(&self, tally: Tally) -> Option<RateRule> {
        if tally.calls < self.minimum_calls {
            return None;
        }
        let reached =
            |limit: Option<Share>, part| limit.is_some_and(|l| l.is_reached(part, tally.calls));
        if reached(self.failed, tally.failed) {
            Some(RateRule::Failed)
        } else if reached(self.slow, tally.slow) {
            Some(RateRule::Slow)
        } else {
            None
        }
    }
}

/// Which of a window's two rates reached its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateRule {
    Failed,
    Slow,
}
