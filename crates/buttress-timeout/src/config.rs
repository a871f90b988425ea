use std::fmt;
use std::time::Duration;

use buttress_core::{ConfigError, Listener, Name, Observer};

use crate::event::Event;
use crate::handle::AdaptiveTimeout;
use crate::limits::Limits;
use crate::state::Rule;

/// Every setting, once.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) limits: Limits,
    pub(crate) is_fixed: bool,
    pub(crate) quantile: f64,
    pub(crate) factor: f64,
    pub(crate) min_samples: u32,
    pub(crate) floor: Duration,
    pub(crate) ceiling: Option<Duration>,
    pub(crate) announce: bool,
    pub(crate) seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            is_fixed: false,
            quantile: 0.95,
            factor: 1.5,
            min_samples: 100,
            floor: Duration::from_millis(10),
            ceiling: None,
            announce: true,
            seed: None,
        }
    }
}

impl Config {
    /// How the timeout is learned; nothing where it is fixed.
    pub(crate) fn rule(&self) -> Option<Rule> {
        let ceiling = self.ceiling.unwrap_or_else(|| self.limits.longest());
        (!self.is_fixed).then(|| Rule {
            quantile: self.quantile,
            factor: self.factor,
            min_samples: self.min_samples,
            floor: self.floor.min(ceiling),
            ceiling,
        })
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let Limits {
            head,
            first_byte,
            idle,
            total,
        } = self.limits;
        let durations = [
            ("head", Some(head)),
            ("first_byte", first_byte),
            ("idle", Some(idle)),
            ("total", total),
            ("ceiling", self.ceiling),
        ];
        for (setting, duration) in durations {
            if duration == Some(Duration::ZERO) {
                return Err(ConfigError::new(setting, "must be above zero"));
            }
        }
        self.validate_rule()
    }

    fn validate_rule(&self) -> Result<(), ConfigError> {
        let problem = |setting, problem: String| Err(ConfigError::new(setting, problem));
        if !(self.quantile > 0.0 && self.quantile < 1.0) {
            return problem(
                "quantile",
                format!("must be above 0 and below 1, not {}", self.quantile),
            );
        }
        if !(self.factor >= 1.0 && self.factor.is_finite()) {
            return problem("factor", format!("must be at least 1, not {}", self.factor));
        }
        if self.min_samples == 0 {
            return problem("min_samples", "must be above zero".to_owned());
        }
        match (self.ceiling, self.limits.total) {
            (Some(ceiling), _) if ceiling < self.floor => problem(
                "ceiling",
                format!("must not be below the floor of {:?}", self.floor),
            ),
            (Some(ceiling), Some(total)) if ceiling > total => problem(
                "ceiling",
                format!("must not be above the total of {total:?}"),
            ),
            _ => Ok(()),
        }
    }
}

/// Configures an [`AdaptiveTimeout`]. Every setting has a default.
#[must_use = "a builder does nothing until `build`"]
pub struct AdaptiveTimeoutBuilder {
    name: Name,
    config: Config,
    listener: Listener<Event>,
}

impl AdaptiveTimeoutBuilder {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            config: Config::default(),
            listener: Listener::none(),
        }
    }

    /// The request timeout: how long the whole call may take, the readiness of what is driven inside of it and the body of its
    /// answer included; 60 s by default. Over HTTP it ends with the head for what has no end of its own: `text/event-stream`, an
    /// upgrade, an answer over gRPC that has a body.
    pub const fn total(mut self, limit: Duration) -> Self {
        self.config.limits.total = Some(limit);
        self
    }

    /// Sets no limit on the whole call: only its parts are limited.
    pub const fn no_total(mut self) -> Self {
        self.config.limits.total = None;
        self
    }

    /// The read timeout: how long the head may take, and each piece of the body after it; 30 s by default. Sets
    /// [`head`](Self::head) and [`idle`](Self::idle).
    pub const fn read(mut self, limit: Duration) -> Self {
        self.config.limits.head = limit;
        self.config.limits.idle = limit;
        self
    }

    /// How long the head of an answer may take, whatever was learned; 30 s by default. A plain call has no head of its own; it is
    /// limited by this where there is no total.
    pub const fn head(mut self, limit: Duration) -> Self {
        self.config.limits.head = limit;
        self
    }

    /// How long the first piece of the body may take after the head; as [`idle`](Self::idle) by default.
    pub const fn first_byte(mut self, limit: Duration) -> Self {
        self.config.limits.first_byte = Some(limit);
        self
    }

    /// How long the body may pause between two pieces while its reader waits; 30 s by default. It never cuts a stream that moves, nor
    /// one whose reader is slow.
    pub const fn idle(mut self, limit: Duration) -> Self {
        self.config.limits.idle = limit;
        self
    }

    /// Learns nothing: only the limits hold.
    pub const fn fixed(mut self) -> Self {
        self.config.is_fixed = true;
        self
    }

    /// The share of calls that the learned timeout is about; 0.95 by default.
    pub const fn quantile(mut self, share: f64) -> Self {
        self.config.quantile = share;
        self
    }

    /// How many times that quantile a call may take; 1.5 by default.
    pub const fn factor(mut self, factor: f64) -> Self {
        self.config.factor = factor;
        self
    }

    /// How many calls must have completed before anything is learned from them; 100 by default.
    pub const fn min_samples(mut self, calls: u32) -> Self {
        self.config.min_samples = calls;
        self
    }

    /// The shortest timeout that is learned; 10 ms by default, or the ceiling if that is shorter: a pause of a scheduler is no
    /// failure.
    pub const fn floor(mut self, limit: Duration) -> Self {
        self.config.floor = limit;
        self
    }

    /// The longest timeout that is learned, and what holds before enough is known; the [`total`](Self::total) by default, or without
    /// one the [`head`](Self::head).
    pub const fn ceiling(mut self, limit: Duration) -> Self {
        self.config.ceiling = Some(limit);
        self
    }

    /// Whether the next service is told how long this one still waits: yes by default, where calls go out over HTTP or gRPC. Over
    /// HTTP the milliseconds that remain then stand in the header `x-request-timeout`; over gRPC a caller's deadline stands in
    /// `grpc-timeout`, and a total, which spares streams, is not told.
    pub const fn announce(mut self, announce: bool) -> Self {
        self.config.announce = announce;
        self
    }

    /// Chooses the calls that are given longer by this seed; another one in each process by default. The same seed and the same
    /// times give the same calls.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Tells of every call that is cut, and of a timeout that cannot be learned for a while, to `observer`.
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
    pub fn build(self) -> AdaptiveTimeout {
        let name = self.name;
        match self.try_build() {
            Ok(timeout) => timeout,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("timeout `{name}`: {error}"),
        }
    }

    /// Builds it, or says which setting makes no sense.
    ///
    /// # Errors
    /// A name that is none; a limit of zero; a quantile that is not between 0 and 1; a factor below 1; no samples; a ceiling below the
    /// floor or above the total.
    pub fn try_build(self) -> Result<AdaptiveTimeout, ConfigError> {
        self.name.validate()?;
        self.config.validate()?;
        Ok(AdaptiveTimeout::from_config(
            self.name,
            &self.config,
            self.listener,
        ))
    }
}

impl fmt::Debug for AdaptiveTimeoutBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveTimeoutBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
