use std::fmt;
use std::time::Duration;

use buttress_core::{ConfigError, Listener, Name, Observer};

use crate::event::Event;
use crate::handle::RateLimit;
use crate::keyed::KeyedRateLimitBuilder;
use crate::rate::{LONGEST, Rate};

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// See [`token_bucket`](RateLimitBuilder::token_bucket).
    TokenBucket,
    /// See [`sliding_window`](RateLimitBuilder::sliding_window).
    SlidingWindow,
    /// See [`bucketed_window`](RateLimitBuilder::bucketed_window).
    BucketedWindow,
    /// See [`leaky_bucket`](RateLimitBuilder::leaky_bucket).
    LeakyBucket,
}

/// The most calls that a window can keep one by one.
pub(crate) const MOST_EXACT: u32 = 10_000;

/// The most calls that may wait.
pub(crate) const MOST_QUEUED: u32 = 100_000;

impl Algorithm {
    /// The algorithm as one word, for figures.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenBucket => "token_bucket",
            Self::SlidingWindow => "sliding_window",
            Self::BucketedWindow => "bucketed_window",
            Self::LeakyBucket => "leaky_bucket",
        }
    }

    /// How many units can ever be admitted at once.
    pub(crate) fn capacity(self, rate: Rate) -> u32 {
        match self {
            Self::TokenBucket => rate.burst_size().unwrap_or(rate.units()),
            Self::SlidingWindow | Self::BucketedWindow => rate.units(),
            Self::LeakyBucket => 1,
        }
    }

    /// Says whether a limit of this kind can have this rate.
    pub(crate) fn validate(self, rate: Rate) -> Result<(), ConfigError> {
        match self {
            Self::TokenBucket => rate.validate()?,
            Self::SlidingWindow | Self::BucketedWindow => rate.validate_without_burst("window")?,
            Self::LeakyBucket => rate.validate_without_burst("leaky bucket")?,
        }
        let capacity = self.capacity(rate);
        let problem = if self == Self::TokenBucket
            && rate.interval().saturating_mul(capacity) > LONGEST
        {
            format!("must have a burst that comes back within 366 days: {rate}")
        } else if self == Self::SlidingWindow && capacity > MOST_EXACT {
            format!("must be at most {MOST_EXACT} where each call is kept; take a bucketed window")
        } else {
            return Ok(());
        };
        Err(ConfigError::new("rate", problem))
    }
}

/// Every setting, once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) algorithm: Algorithm,
    pub(crate) rate: Rate,
    pub(crate) queue: u32,
    pub(crate) max_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::TokenBucket,
            rate: Rate::per_second(100).burst(1000),
            queue: 500,
            max_wait: Duration::from_secs(30),
        }
    }
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        self.algorithm.validate(self.rate)?;
        if self.queue > MOST_QUEUED {
            let problem = format!("must be in 0..={MOST_QUEUED}, not {}", self.queue);
            return Err(ConfigError::new("queue", problem));
        }
        Ok(())
    }
}

/// Configures a [`RateLimit`]. Every setting has a default: a token bucket of `100/s burst 1000`.
#[must_use = "a builder does nothing until `build`"]
pub struct RateLimitBuilder {
    pub(crate) name: Name,
    pub(crate) config: Config,
    pub(crate) listener: Listener<Event>,
}

impl RateLimitBuilder {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            config: Config::default(),
            listener: Listener::none(),
        }
    }

    const fn counting(mut self, algorithm: Algorithm, rate: Rate) -> Self {
        self.config.algorithm = algorithm;
        self.config.rate = rate;
        self
    }

    /// Admits calls while there are tokens in a bucket that holds the rate's burst and is filled at the rate: `100/s burst 1000` by
    /// default. In any time `t` at most `burst + rate × t` are admitted.
    ///
    /// Kept as one moment instead of a bucket, as the generic cell rate algorithm does (ITU-T I.371; GCRA): one atomic word.
    pub const fn token_bucket(self, rate: Rate) -> Self {
        self.counting(Algorithm::TokenBucket, rate)
    }

    /// Admits at most so many calls in *any* window of the rate's time: `Rate::per_minute(1000)` is a thousand in any sixty
    /// seconds. Each call is kept, and leaves the window when its time is over: exact, 8 bytes each, at most 10 000. A
    /// limit that is raised while it runs, above the one it was built with and above 64, is kept in slots of several calls.
    pub const fn sliding_window(self, rate: Rate) -> Self {
        self.counting(Algorithm::SlidingWindow, rate)
    }

    /// The same in 64 slots, for larger limits: never over the limit in any window either, but calls leave it a slot at a time. A client
    /// that calls evenly gets 64/65 of the limit. 512 bytes.
    pub const fn bucketed_window(self, rate: Rate) -> Self {
        self.counting(Algorithm::BucketedWindow, rate)
    }

    /// Lets calls out one by one, each the rate's [`interval`](Rate::interval) after the one before, and lets the others
    /// [queue](Self::queue): `50/s` and a queue of 500 are usual. Stands before a service as
    /// [`waiting_layer`](RateLimit::waiting_layer).
    ///
    /// Timers go off up to a millisecond late. So that the rate is kept all the same, a call that has waited and comes late, by 2 ms
    /// at the most, counts as if it had come in time: the next may follow it so much sooner.
    pub const fn leaky_bucket(self, rate: Rate) -> Self {
        self.counting(Algorithm::LeakyBucket, rate)
    }

    /// Lets this many calls wait for their turn, where they wait at all: 500 by default, 0 to 100 000. With 0 nobody waits.
    pub const fn queue(mut self, calls: u32) -> Self {
        self.config.queue = calls;
        self
    }

    /// Lets a call wait this long for its turn, where it waits at all: 30 s by default. With zero nobody waits.
    ///
    /// The caller's deadline shortens the wait. A call whose turn is known to come later is refused at once.
    pub const fn max_wait(mut self, duration: Duration) -> Self {
        self.config.max_wait = duration;
        self
    }

    /// Tells every refusal and every change of the rate to `observer`.
    pub fn observer(mut self, observer: impl Observer<Event>) -> Self {
        self.listener = Listener::new(observer);
        self
    }

    /// Keeps a limit of this kind for each key: for each client, tenant or route. Nobody waits at such a limit.
    pub fn keyed(self) -> KeyedRateLimitBuilder {
        KeyedRateLimitBuilder::new(self)
    }

    /// Builds the limit.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> RateLimit {
        let name = self.name;
        match self.try_build() {
            Ok(limit) => limit,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("rate limit `{name}`: {error}"),
        }
    }

    /// Builds the limit, or says which setting makes no sense.
    ///
    /// # Errors
    /// A rate of zero, or above one a nanosecond, or over more than 366 days; a burst of zero, or one that takes longer than that to
    /// come back, or one of a window or a leaky bucket; a sliding window of more than 10 000 calls; a queue above 100 000; a name
    /// that is none.
    pub fn try_build(self) -> Result<RateLimit, ConfigError> {
        self.name.validate()?;
        self.config.validate()?;
        RateLimit::from_config(self.name, self.config, self.listener)
    }
}

impl fmt::Debug for RateLimitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
