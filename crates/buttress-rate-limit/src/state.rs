//! The machines: how much may be taken, and when. No clock, no task, no log.

use buttress_core::{ConfigError, QuotaPolicy};
use buttress_timer::{Moment, nanos};

pub(crate) mod bucket;
pub(crate) mod line;
pub(crate) mod window;

use self::bucket::{Bucket, Terms};
pub(crate) use self::bucket::{Level, Wait};
use self::line::Supply;
use self::window::{BUCKETED, MOST_SLOTS, Window};
pub(crate) use self::window::{Due, Receipt};
use crate::config::Algorithm;
use crate::rate::Rate;

/// How much may be taken, by one of the algorithms.
#[derive(Debug)]
pub(crate) enum Machine {
    Bucket(Bucket),
    /// One that holds a single token: what makes it leak is the line before it.
    Leaky(Bucket),
    Window(Window),
}

/// How late a call may come for its token and count as if it had come in time. The steps of tokio's timers are a millisecond long; a
/// bucket that holds nothing back would lose as much with each call.
const SLACK: u64 = 2_000_000;

/// The terms of a bucket at this rate.
pub(crate) fn terms(algorithm: Algorithm, rate: Rate) -> Result<Terms, ConfigError> {
    let terms = Terms::new(nanos(rate.interval()), algorithm.capacity(rate));
    terms.ok_or_else(|| ConfigError::new("rate", "must come back within 366 days"))
}

/// What a client is told of a limit at this rate.
pub(crate) fn policy(algorithm: Algorithm, rate: Rate) -> QuotaPolicy {
    let limit = algorithm.capacity(rate);
    let window = match algorithm {
        Algorithm::TokenBucket | Algorithm::LeakyBucket => rate.interval().saturating_mul(limit),
        Algorithm::SlidingWindow | Algorithm::BucketedWindow => rate.per(),
    };
    QuotaPolicy {
        limit: limit.into(),
        window,
    }
}

impl Machine {
    pub(crate) fn new(algorithm: Algorithm, rate: Rate) -> Result<Self, ConfigError> {
        algorithm.validate(rate)?;
        let (limit, width) = (rate.units(), nanos(rate.per()));
        let window = |slots| Self::Window(Window::new(limit, width, slots, Moment::START));
        Ok(match algorithm {
            Algorithm::TokenBucket => Self::Bucket(Bucket::new(terms(algorithm, rate)?)),
            Algorithm::LeakyBucket => Self::Leaky(Bucket::new(terms(algorithm, rate)?)),
            // A limit that is raised later, beyond what has a slot for each call, goes by these slots.
            Algorithm::SlidingWindow => window(rate.units().clamp(BUCKETED, MOST_SLOTS)),
            Algorithm::BucketedWindow => window(BUCKETED),
        })
    }

    #[inline(always)]
    pub(crate) fn take(&self, units: u32, now: Moment) -> Result<Receipt, Wait> {
        match self {
            Self::Bucket(bucket) | Self::Leaky(bucket) => {
                bucket.take(units, now)?;
                Ok(Receipt::unplaced(units))
            }
            Self::Window(window) => window.take(units, now),
        }
    }

    /// Takes what a call has cost beyond what it took, or gives back what it took beyond that.
    pub(crate) fn correct(&self, receipt: &mut Receipt, cost: u32, now: Moment) {
        match (self, receipt.settle(cost)) {
            (Self::Bucket(bucket) | Self::Leaky(bucket), Due::Charge(units)) => {
                bucket.charge(units, now);
            }
            (Self::Bucket(bucket) | Self::Leaky(bucket), Due::GiveBack(units)) => {
                bucket.give_back(receipt.take_back(units));
            }
            (Self::Window(window), Due::Charge(units)) => window.charge(units, now),
            (Self::Window(window), Due::GiveBack(units)) => {
                window.give_back(receipt, units);
            }
        }
    }

    pub(crate) fn set_rate(&self, algorithm: Algorithm, rate: Rate, now: Moment) {
        match self {
            Self::Bucket(bucket) | Self::Leaky(bucket) => {
                if let Ok(terms) = terms(algorithm, rate) {
                    bucket.set_terms(terms, now);
                }
            }
            Self::Window(window) => window.set(rate.units(), nanos(rate.per()), now),
        }
    }

    pub(crate) fn level(&self, now: Moment) -> Level {
        match self {
            Self::Bucket(bucket) | Self::Leaky(bucket) => bucket.level(now),
            Self::Window(window) => window.level(now),
        }
    }

    fn check(&self, units: u32, now: Moment) -> Result<(), Wait> {
        match self {
            Self::Bucket(bucket) | Self::Leaky(bucket) => bucket.check(units, now),
            Self::Window(window) => window.check(units, now),
        }
    }
}

/// When a wait is over.
fn after(now: Moment, wait: Wait) -> Moment {
    match wait {
        Wait::After(nanos) => Moment::from_nanos(now.nanos().saturating_add(nanos)),
        Wait::Never => Moment::from_nanos(u64::MAX),
    }
}

impl Supply for Machine {
    type Receipt = Receipt;

    fn take(&self, units: u32, now: Moment) -> Result<Receipt, Moment> {
        self.take(units, now).map_err(|wait| after(now, wait))
    }

    fn take_late(&self, units: u32, now: Moment) -> Result<Receipt, Moment> {
        match self {
            Self::Leaky(bucket) => match bucket.take_late(units, now, SLACK) {
                Ok(_) => Ok(Receipt::unplaced(units)),
                Err(wait) => Err(after(now, wait)),
            },
            _ => Supply::take(self, units, now),
        }
    }

    fn ready(&self, units: u32, now: Moment) -> Moment {
        self.check(units, now)
            .map_or_else(|wait| after(now, wait), |()| now)
    }

    fn turn(&self, units: u64, now: Moment) -> Option<Moment> {
        match self {
            Self::Bucket(bucket) | Self::Leaky(bucket) => {
                Some(after(now, Wait::After(bucket.turn(units, now))))
            }
            Self::Window(_) => None,
        }
    }

    fn fits(&self, units: u32) -> bool {
        match self {
            Self::Bucket(bucket) | Self::Leaky(bucket) => units <= bucket.terms().burst(),
            Self::Window(window) => units <= window.limit(),
        }
    }
}
