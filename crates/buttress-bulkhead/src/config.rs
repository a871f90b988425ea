use std::fmt;
use std::time::Duration;

use buttress_core::{ConfigError, Listener, Name, Observer};

use crate::event::Event;
use crate::handle::Bulkhead;
use crate::state::MOST_CALLS;

/// Every setting, once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) max_concurrent: u32,
    pub(crate) retry_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_concurrent: 100,
            retry_after: Duration::from_secs(1),
        }
    }
}

/// Says whether this many calls at once can be a limit.
pub(crate) fn validate_max_concurrent(max_concurrent: u32) -> Result<(), ConfigError> {
    if max_concurrent == 0 || max_concurrent > MOST_CALLS {
        let problem = format!("must be in 1..={MOST_CALLS}, not {max_concurrent}");
        return Err(ConfigError::new("max_concurrent", problem));
    }
    Ok(())
}

/// Configures a [`Bulkhead`]. Every setting has a default.
#[must_use = "a builder does nothing until `build`"]
pub struct BulkheadBuilder {
    name: Name,
    config: Config,
    listener: Listener<Event>,
}

impl BulkheadBuilder {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            config: Config::default(),
            listener: Listener::none(),
        }
    }

    /// Lets this many calls be inside at once: 100 by default, 1 to 1 000 000.
    ///
    /// A good start is the rate of calls times the time that 99 of 100 of them stay below (Little's law), and no more than
    /// the dependency can work on at once.
    pub const fn max_concurrent(mut self, calls: u32) -> Self {
        self.config.max_concurrent = calls;
        self
    }

    /// What a refusal says about when to come back. 1 s by default: a bulkhead cannot know when a slot gets free.
    pub const fn retry_after(mut self, duration: Duration) -> Self {
        self.config.retry_after = duration;
        self
    }

    /// Tells every refusal and every change of the limit to `observer`.
    pub fn observer(mut self, observer: impl Observer<Event>) -> Self {
        self.listener = Listener::new(observer);
        self
    }

    /// Builds the bulkhead.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> Bulkhead {
        let name = self.name;
        match self.try_build() {
            Ok(bulkhead) => bulkhead,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("bulkhead `{name}`: {error}"),
        }
    }

    /// Builds the bulkhead, or says which setting makes no sense.
    ///
    /// # Errors
    /// A limit of zero or above 1 000 000, a name that is none.
    pub fn try_build(self) -> Result<Bulkhead, ConfigError> {
        self.name.validate()?;
        validate_max_concurrent(self.config.max_concurrent)?;
        Ok(Bulkhead::from_config(self.name, self.config, self.listener))
    }
}

impl fmt::Debug for BulkheadBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
