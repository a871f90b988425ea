//! What calls take, and the timeout that follows from it.

use std::mem;
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
/// So many must have completed beyond the timeout before it follows them there, and as many as climb and have not ended: where most are
/// cut, each of the few that are seen stands for many, and one that is slow by chance must not speak for those that hang.
const WITNESSES: u64 = 2;
/// While the long horizon is obscured, the timeout comes down to a third of itself in as long as that horizon takes to forget.
const FORGETS_IN: Duration = Duration::from_secs(30);

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
    /// When it was looked at last, where that mattered.
    looked: Duration,
}

/// What is seen of those who climb.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Who have used up all the time there is, one after the other.
    pub(crate) hopeless: u32,
    /// Who have not ended.
    pub(crate) still_climbing: u64,
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
            looked: Duration::ZERO,
        }
    }

    /// Takes in what came since the last time, at `now`.
    pub(crate) fn learn(
        &mut self,
        now: Duration,
        samples: &CensoredSnapshot,
        seen: Seen,
    ) -> Decision {
        self.short.add(now, samples);
        self.long.add(now, samples);
        self.completed = self.completed.saturating_add(samples.completed());
        let before = self.clarity;
        self.clarity = self.look(now, seen);
        self.decide(now, before)
    }

    /// The samples of the long horizon, for the figures.
    pub(crate) fn seen(&self) -> CensoredSnapshot {
        self.long.sum()
    }

    fn look(&mut self, now: Duration, climbers: Seen) -> Clarity {
        if self.completed < u64::from(self.rule.min_samples) {
            return Clarity::Unknown;
        }
        let since = now.saturating_sub(mem::replace(&mut self.looked, now));
        let seen = self.short.sum();
        let quantile = seen.quantile(self.rule.quantile);
        let Some(short) = quantile.filter(|&quantile| self.is_witnessed(quantile, &seen, climbers))
        else {
            if self.clarity.is_obscured() {
                self.fade(since);
            }
            return self.clarity.obscured(now, climbers.hopeless);
        };
        // Up at once, down when the long horizon has forgotten; where that one is obscured, as slowly.
        let shortest = match self.long.sum().quantile(self.rule.quantile) {
            Some(long) => self.rule.timeout(long),
            None => scaled(self.timeout, fading(since)),
        };
        self.timeout = self.rule.timeout(short).max(shortest);
        Clarity::Clear
    }

    /// While it is frozen it is not lengthened, but comes down to what completed calls show, as slowly as the long horizon forgets: a
    /// timeout that some slow call had lengthened would stay there for as long as others hang.
    fn fade(&mut self, since: Duration) {
        let shown = self.long.sum().without_censored();
        if let Some(shown) = shown.quantile(self.rule.quantile) {
            let faded = scaled(self.timeout, fading(since)).max(self.rule.timeout(shown));
            self.timeout = self.timeout.min(faded);
        }
    }

    /// Whether so many have completed beyond the timeout that it may follow them.
    fn is_witnessed(&self, quantile: Duration, seen: &CensoredSnapshot, climbers: Seen) -> bool {
        let is_beyond = quantile > self.timeout && self.clarity != Clarity::Unknown;
        !is_beyond || seen.completed_above(self.timeout) >= WITNESSES.max(climbers.still_climbing)
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

/// What is left of a timeout after so long, if it is to come down to a third in as long as the long horizon forgets.
fn fading(since: Duration) -> f64 {
    (-since.as_secs_f64() / FORGETS_IN.as_secs_f64()).exp()
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
