//! What calls take, and the timeout that follows from it.

use std::time::Duration;

use buttress_histogram::{CensoredSnapshot, Horizon};

/// How the timeout follows from what calls take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) quantile: f64,
    pub(crate) factor: f64,
    pub(crate) min_samples: u32,
    pub(crate) floor: Duration,
    pub(crate) ceiling: Duration,
}

impl Rule {
    fn timeout(&self, quantile: Duration) -> Duration {
        scaled(quantile, self.factor).clamp(self.floor, self.ceiling)
    }
}

/// So much longer, or as long as a duration can be.
fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// The last 2 to 3 s, or 34 samples if they reach further back: follows a slow-down.
pub(super) type Short = Horizon<3>;
/// The last 24 to 30 s, or 80 samples: holds on to what it showed.
pub(super) type Long = Horizon<5>;

const SHORT_SLOT: Duration = Duration::from_secs(1);
const SHORT_LEAST: u32 = 17;
const LONG_SLOT: Duration = Duration::from_secs(6);
const LONG_LEAST: u32 = 20;

/// How much longer than the others an exploring call may take; by which the ladder climbs, too.
const STEP: u32 = 4;
/// How long the ladder stays on a rung.
const RUNG: Duration = Duration::from_millis(250);
/// So many calls that were given all the time there is and did not end say that they never will.
const HOPELESS: u32 = 8;
/// How long nobody climbs after that.
const REST: Duration = Duration::from_secs(30);

/// Learns from samples; knows no clock.
#[derive(Debug)]
pub(crate) struct Learner {
    rule: Rule,
    short: Short,
    long: Long,
    /// Those that completed, ever.
    pub(super) completed: u64,
    timeout: Duration,
    clarity: Clarity,
}

/// Whether it can be said what calls take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clarity {
    /// Too few have completed.
    Unknown,
    Clear,
    /// So many were cut that the quantile lies beyond what was seen: exploring calls climb since then, to see further.
    Climbing {
        since: Duration,
    },
    /// They have seen nothing with all the time there is: the callee hangs, it is not slow. Nobody climbs until then.
    Resting {
        until: Duration,
    },
}

/// What follows for the calls from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) timeout: Duration,
    /// How long an exploring call may take.
    pub(crate) exploring: Duration,
    /// Whether many explore, up the ladder.
    pub(crate) climbs: bool,
    /// Whether what exploring calls have shown so far is settled.
    pub(crate) starts_anew: bool,
    pub(crate) turn: Option<Turn>,
}

/// Something that others want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Frozen,
    Resumed,
}

impl Learner {
    pub(crate) fn new(rule: Rule) -> Self {
        Self {
            rule,
            short: Short::new(SHORT_SLOT, SHORT_LEAST),
            long: Long::new(LONG_SLOT, LONG_LEAST),
            completed: 0,
            timeout: rule.ceiling,
            clarity: Clarity::Unknown,
        }
    }

    /// Takes in what came since the last time, at `now`; `hopeless` exploring calls in a row have used up all the time there is.
    pub(crate) fn learn(
        &mut self,
        now: Duration,
        samples: &CensoredSnapshot,
        hopeless: u32,
    ) -> Decision {
        self.short.add(now, samples);
        self.long.add(now, samples);
        self.completed = self.completed.saturating_add(samples.completed());
        let before = self.clarity;
        self.clarity = self.look(now, hopeless);
        self.decide(now, before)
    }

    /// The samples of the long horizon, for the figures.
    pub(crate) fn seen(&self) -> CensoredSnapshot {
        self.long.sum()
    }

    fn look(&mut self, now: Duration, hopeless: u32) -> Clarity {
        if self.completed < u64::from(self.rule.min_samples) {
            return Clarity::Unknown;
        }
        let Some(short) = self.short.sum().quantile(self.rule.quantile) else {
            return self.clarity.obscured(now, hopeless);
        };
        // Up at once, down when the long horizon has forgotten; where that one is obscured, not at all.
        let shortest = match self.long.sum().quantile(self.rule.quantile) {
            Some(long) => self.rule.timeout(long),
            None => self.timeout,
        };
        self.timeout = self.rule.timeout(short).max(shortest);
        Clarity::Clear
    }

    fn decide(&self, now: Duration, before: Clarity) -> Decision {
        let rungs = match self.clarity {
            Clarity::Unknown => 0,
            Clarity::Clear | Clarity::Resting { .. } => 1,
            Clarity::Climbing { since } => 1 + rungs_since(now.saturating_sub(since)),
        };
        let times = STEP.saturating_pow(rungs);
        Decision {
            timeout: self.timeout,
            exploring: self.timeout.saturating_mul(times).min(self.rule.ceiling),
            climbs: matches!(self.clarity, Clarity::Climbing { .. }),
            starts_anew: self.clarity != before,
            turn: before.turn_to(self.clarity),
        }
    }
}

fn rungs_since(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_nanos() / RUNG.as_nanos()).unwrap_or(u32::MAX - 1)
}

impl Clarity {
    /// What becomes of it while the quantile is not identified.
    fn obscured(self, now: Duration, hopeless: u32) -> Self {
        match self {
            Self::Climbing { .. } if hopeless >= HOPELESS => Self::Resting {
                until: now.saturating_add(REST),
            },
            Self::Resting { until } if now < until => self,
            Self::Climbing { .. } => self,
            Self::Unknown | Self::Clear | Self::Resting { .. } => Self::Climbing { since: now },
        }
    }

    const fn is_obscured(self) -> bool {
        matches!(self, Self::Climbing { .. } | Self::Resting { .. })
    }

    const fn turn_to(self, next: Self) -> Option<Turn> {
        match (self.is_obscured(), next.is_obscured()) {
            (false, true) => Some(Turn::Frozen),
            (true, false) => Some(Turn::Resumed),
            _ => None,
        }
    }
}
