use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use buttress_core::ConfigError;

mod parse;

/// So much within such a time, and how much of it at once.
///
/// It reads as it means: `per_second(100)` is a hundred in each second, never one in each hundred. It is written `100/s burst 200`.
///
/// ```
/// use std::time::Duration;
/// use buttress_rate_limit::Rate;
///
/// let rate = Rate::per_second(100).burst(200);
/// assert_eq!(rate.to_string(), "100/s burst 200");
/// assert_eq!("100/s burst 200".parse(), Ok(rate));
/// assert_eq!("6000/min burst 200".parse::<Rate>()?.interval(), rate.interval());
/// assert_eq!("1000/15min".parse(), Ok(Rate::new(1000, Duration::from_secs(900))));
/// assert_eq!(rate.interval(), Duration::from_millis(10));
/// # Ok::<(), buttress_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    units: u32,
    per: Duration,
    burst: Option<u32>,
}

/// The longest time that a limit looks back, or a spent burst takes to come back: a year of 366 days.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Rate {
    /// So many within such a time.
    #[must_use]
    pub const fn new(units: u32, per: Duration) -> Self {
        Self {
            units,
            per,
            burst: None,
        }
    }

    /// So many in each second.
    #[must_use]
    pub const fn per_second(units: u32) -> Self {
        Self::new(units, Duration::from_secs(1))
    }

    /// So many in each minute.
    #[must_use]
    pub const fn per_minute(units: u32) -> Self {
        Self::new(units, Duration::from_secs(60))
    }

    /// So many in each hour.
    #[must_use]
    pub const fn per_hour(units: u32) -> Self {
        Self::new(units, Duration::from_secs(3600))
    }

    /// So many at once, after a time of rest: what a token bucket holds. As many as the rate names when nothing is said. A sliding
    /// window and a leaky bucket have no burst.
    #[must_use]
    pub const fn burst(self, units: u32) -> Self {
        Self {
            burst: Some(units),
            ..self
        }
    }

    /// How many within [`per`](Self::per).
    #[must_use]
    pub const fn units(self) -> u32 {
        self.units
    }

    /// Within how long.
    #[must_use]
    pub const fn per(self) -> Duration {
        self.per
    }

    /// How many at once, where that was said.
    #[must_use]
    pub const fn burst_size(self) -> Option<u32> {
        self.burst
    }

    /// The time that one takes to come back, rounded up to a whole nanosecond, so that a rate is never exceeded. A client that leaves
    /// this much between its calls keeps the rate.
    #[must_use]
    pub const fn interval(self) -> Duration {
        let units = if self.units == 0 {
            1
        } else {
            self.units as u128
        };
        let nanos = self.per.as_nanos().div_ceil(units);
        #[expect(clippy::cast_possible_truncation, reason = "what does not fit is cut")]
        if nanos > u64::MAX as u128 {
            Duration::from_nanos(u64::MAX)
        } else {
            Duration::from_nanos(nanos as u64)
        }
    }

    /// Whether it makes sense at all, for every algorithm.
    pub(crate) fn validate(self) -> Result<(), ConfigError> {
        let problem = if self.units == 0 {
            format!("must be at least one, not {self}")
        } else if self.per.is_zero() || self.per > LONGEST {
            format!(
                "must be within a nanosecond to 366 days, not {:?}",
                self.per
            )
        } else if self.per.as_nanos() < u128::from(self.units) {
            format!("must be at most one a nanosecond, not {self}")
        } else if self.burst == Some(0) {
            format!("must have a burst of at least one, not {self}")
        } else {
            return Ok(());
        };
        Err(ConfigError::new("rate", problem))
    }

    /// The same, where a burst means nothing.
    pub(crate) fn validate_without_burst(self, algorithm: &str) -> Result<(), ConfigError> {
        self.validate()?;
        if self.burst.is_some() {
            let problem = format!("has a burst, and a {algorithm} has none: {self}");
            return Err(ConfigError::new("rate", problem));
        }
        Ok(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.units, parse::Period(self.per))?;
        match self.burst {
            Some(burst) => write!(f, " burst {burst}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Rate {
    type Err = ConfigError;

    /// Reads `100/s`, `5/min burst 20`, `1000/15min`: a whole number, a slash, a time in `ns`, `us`, `ms`, `s`, `min`, `h` or `d`
    /// with a whole number before it or none, and perhaps `burst` and a whole number.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let rate = parse::rate(text).ok_or_else(|| {
            // Of what may be anything, no more than a glance.
            let glance: String = text.chars().take(64).collect();
            let problem = format!("must read as `100/s` or `100/s burst 200`, not {glance:?}");
            ConfigError::new("rate", problem)
        })?;
        rate.validate().map(|()| rate)
    }
}
