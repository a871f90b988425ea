use std::fmt;
use std::time::Duration;

use buttress_core::{ConfigError, Listener, Name, Observer};

use crate::backoff::Backoff;
use crate::budget::RetryBudget;
use crate::event::Event;
use crate::handle::Retry;

/// Every setting, once.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) budget: Option<RetryBudget>,
    pub(crate) total: Option<Duration>,
    pub(crate) throttled_base: Duration,
    pub(crate) body_limit: usize,
    pub(crate) body_memory: usize,
    pub(crate) idempotency_key: bool,
    pub(crate) announce: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retries: 3,
            backoff: Backoff::default(),
            budget: None,
            total: None,
            throttled_base: Duration::from_secs(1),
            body_limit: 64 * 1024,
            body_memory: 16 * 1024 * 1024,
            idempotency_key: false,
            announce: true,
        }
    }
}

/// Configures a [`Retry`]. Every setting has a default.
#[must_use = "a builder does nothing until `build`"]
pub struct RetryBuilder {
    name: Name,
    config: Config,
    listener: Listener<Event>,
}

impl RetryBuilder {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            config: Config::default(),
            listener: Listener::none(),
        }
    }

    /// Sends a request again this often at most: 3 by default, so 4 attempts. With 0 nothing is sent again.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.config.retries = retries;
        self
    }

    /// How long to wait before an attempt: see [`Backoff`] for the default.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.config.backoff = backoff;
        self
    }

    /// The shortest base of the back-off after an answer that asks for less, such as a 429, without saying when: 1 s by default.
    pub const fn throttled_base(mut self, base: Duration) -> Self {
        self.config.throttled_base = base;
        self
    }

    /// Shares a budget with others; one of its own by default, with the defaults of [`RetryBudget`].
    pub fn budget(mut self, budget: &RetryBudget) -> Self {
        self.config.budget = Some(budget.clone());
        self
    }

    /// Starts no attempt later than this after the first, the wait before it included; no limit by default. Calls read the clock
    /// when there is one.
    ///
    /// When the service is not ready in time the last answer is the answer. Only one that was no error, and was given up before the
    /// wait for a service that was ready then and is not any more, cannot be: that attempt is made late.
    pub const fn total_time(mut self, limit: Duration) -> Self {
        self.config.total = Some(limit);
        self
    }

    /// Keeps this many bytes of a request's body for another attempt: 64 KiB by default. A larger body is sent once.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.config.body_limit = bytes;
        self
    }

    /// Keeps this many bytes of bodies in all: 16 MiB by default. Requests that find no room are sent once.
    pub const fn body_memory(mut self, bytes: usize) -> Self {
        self.config.body_memory = bytes;
        self
    }

    /// Gives every request an idempotency key, the same on each attempt, unless it has one; off by default. Over HTTP it stands in
    /// the header `Idempotency-Key`, which makes any method repeatable: the server must know what to do with it.
    pub const fn idempotency_key(mut self) -> Self {
        self.config.idempotency_key = true;
        self
    }

    /// Whether the next service is told that a request is a retry, so that it does not retry it again: yes by default. Over HTTP
    /// the number of the retry then stands in the header `x-buttress-attempt`.
    pub const fn announce(mut self, announce: bool) -> Self {
        self.config.announce = announce;
        self
    }

    /// Tells every retry, and why there was none after a failure, to `observer`.
    pub fn observer(mut self, observer: impl Observer<Event>) -> Self {
        self.listener = Listener::new(observer);
        self
    }

    /// Builds it.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> Retry {
        let name = self.name;
        match self.try_build() {
            Ok(retry) => retry,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("retry `{name}`: {error}"),
        }
    }

    /// Builds it, or says which setting makes no sense.
    ///
    /// # Errors
    /// A name that is none.
    pub fn try_build(self) -> Result<Retry, ConfigError> {
        self.name.validate()?;
        let mut config = self.config;
        let budget = match config.budget.take() {
            Some(shared) => shared,
            None => RetryBudget::builder(self.name).try_build()?,
        };
        Ok(Retry::from_config(self.name, config, budget, self.listener))
    }
}

impl fmt::Debug for RetryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
