use std::time::Duration;

use buttress_core::{ConfigError, Name};

use super::RetryBudget;

/// Every setting, once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) ratio: f64,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Deposits { refund: bool },
    Sliding { window: Duration },
}

/// Shorter windows have slots shorter than a millisecond.
const SHORTEST_WINDOW: Duration = Duration::from_millis(64);

impl Config {
    /// The ratio in parts of `whole`, never more than it says.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a ratio is in 0..=1"
    )]
    pub(crate) fn share_in(self, whole: u32) -> u32 {
        // A ratio such as 0.1 lies a little beside its decimal: that must not cost a whole part.
        (self.ratio * f64::from(whole) + 1e-6) as u32
    }

    fn validate(self) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.ratio) {
            let problem = format!("must be in 0..=1, not {}", self.ratio);
            return Err(ConfigError::new("ratio", problem));
        }
        if let Kind::Sliding { window } = self.kind
            && window < SHORTEST_WINDOW
        {
            let problem = format!("must be {SHORTEST_WINDOW:?} at least, not {window:?}");
            return Err(ConfigError::new("window", problem));
        }
        Ok(())
    }
}

/// Configures a [`RetryBudget`]. Every setting has a default.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RetryBudgetBuilder {
    name: Name,
    config: Config,
}

impl RetryBudgetBuilder {
    pub(crate) const fn new(name: Name) -> Self {
        Self {
            name,
            config: Config {
                ratio: 0.1,
                kind: Kind::Deposits { refund: false },
            },
        }
    }

    /// How many retries there are for a request at most: 0.1 by default, 0 to 1.
    pub const fn ratio(mut self, ratio: f64) -> Self {
        self.config.ratio = ratio;
        self
    }

    /// Lets a retry that succeeded give its token back.
    ///
    /// Then failures that are independent of each other are retried far beyond the ratio (at a tenth failing nearly all calls
    /// succeed in the end), at the price of the bound: load grows by up to a third. When everything fails nothing is refunded,
    /// so an outage sees no more than without.
    pub const fn refund_successful_retries(mut self) -> Self {
        self.config.kind = Kind::Deposits { refund: true };
        self
    }

    /// Makes the budget a share of a sliding window instead: whenever a retry is let go, the retries of the trailing window,
    /// this one included, are at most `ratio` times its first attempts. Without burst and without floor; 64 ms at least.
    ///
    /// Each first attempt reads the clock.
    pub const fn sliding(mut self, window: Duration) -> Self {
        self.config.kind = Kind::Sliding { window };
        self
    }

    /// Builds the budget.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> RetryBudget {
        let name = self.name;
        match self.try_build() {
            Ok(budget) => budget,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("retry budget `{name}`: {error}"),
        }
    }

    /// Builds the budget, or says which setting makes no sense.
    ///
    /// # Errors
    /// A ratio outside of 0 to 1, a window below 64 ms, a name that is none.
    pub fn try_build(self) -> Result<RetryBudget, ConfigError> {
        self.name.validate()?;
        self.config.validate()?;
        Ok(RetryBudget::from_config(self.name, self.config))
    }
}
