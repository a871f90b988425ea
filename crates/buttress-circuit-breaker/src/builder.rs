use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{ConfigError, Listener, Name, Observer};

use crate::component::Component;
use crate::config::{CONSECUTIVE_FAILURES, Config};
use crate::event::Event;
use crate::handle::CircuitBreaker;
use crate::keyed_builder::KeyedCircuitBreakerBuilder;
use crate::window::{Share, Window};

/// Configures a [`CircuitBreaker`]. Every setting has a default; the rules for opening add up: any of them opens.
#[must_use = "a builder does nothing until `build`"]
pub struct CircuitBreakerBuilder {
    pub(crate) name: Name,
    config: Config,
    pub(crate) seed: Option<u64>,
    listener: Listener<Event>,
    // The first setting that made no sense: told at the end, so that setters can be chained.
    error: Option<ConfigError>,
}

impl CircuitBreakerBuilder {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            config: Config::default(),
            seed: None,
            listener: Listener::none(),
            error: None,
        }
    }

    /// Opens after this many failures in a row. The default rule, with 5, where no other is given.
    ///
    /// Fast, and blind to partial failure: with 30 % of failures, five in a row come up every few hundred calls.
    pub const fn consecutive_failures(mut self, failures: u32) -> Self {
        self.config.consecutive = Some(failures);
        self
    }

    /// Opens when this share (above 0, at most 1) of the window's calls failed. A common choice is 0.5 over
    /// [`Window::default`], the last 100 calls, or over `Window::time` of 10 s.
    ///
    /// May be given for a window of calls and for a window of time; both then count.
    pub fn failure_rate(mut self, share: f64, window: Window) -> Self {
        let set = Share::new("failure_rate", share).and_then(|share| {
            self.config
                .rules_of(window)
                .map(|rules| *rules.failed = Some(share))
        });
        self.error = self.error.or(set.err());
        self
    }

    /// Opens when this share (above 0, at most 1; commonly 0.5) of the window's calls took `limit` or longer.
    ///
    /// Switches slow-call detection on, which reads the clock at both ends of every call. A call that was dropped past the
    /// limit counts as slow, and a probe past it as failed. There is one limit; the last one given holds.
    pub fn slow_calls(mut self, limit: Duration, share: f64, window: Window) -> Self {
        self.config.slow_after = Some(limit);
        let set = Share::new("slow_calls", share).and_then(|share| {
            self.config
                .rules_of(window)
                .map(|rules| *rules.slow = Some(share))
        });
        self.error = self.error.or(set.err());
        self
    }

    /// Judges a window only once it holds this many calls, 1 to 1 000 000. 20 by default, or the size of a smaller window of calls.
    pub const fn minimum_calls(mut self, calls: u32) -> Self {
        self.config.minimum_calls = Some(calls);
        self
    }

    /// Stays open this long, plus jitter, before it lets probes through. 60 s by default.
    pub const fn open_for(mut self, duration: Duration) -> Self {
        self.config.open_for = duration;
        self
    }

    /// Lengthens every open time by a random share of it, up to this one (0 to 1), so that many clients do not come back in
    /// step. 0.2 by default; 0 switches it off. An open time is never shortened.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.config.jitter = share;
        self
    }

    /// Multiplies the open time by this factor (1 to 100) each time a probe fails, up to [`max_open_for`](Self::max_open_for).
    /// 1 by default: no growth. Closing starts again from the beginning.
    pub const fn growth(mut self, factor: f64) -> Self {
        self.config.growth = factor;
        self
    }

    /// The longest that growth, or the wish of an overloaded dependency, may make the open time, before jitter. 10 min by
    /// default. Never below [`open_for`](Self::open_for).
    pub const fn max_open_for(mut self, duration: Duration) -> Self {
        self.config.max_open_for = duration;
        self
    }

    /// Lets this many probes be in flight at once while it is half-open. 3 by default, 1000 at most.
    pub const fn probes(mut self, probes: u32) -> Self {
        self.config.probes = probes;
        self
    }

    /// Closes after this many successful probes. 3 by default. Any failed probe opens it again.
    pub const fn successes_to_close(mut self, successes: u32) -> Self {
        self.config.successes_to_close = successes;
        self
    }

    /// Judges a probe after this time at the latest: by what is known then (over HTTP the head of the answer), as a failure
    /// when nothing is. 30 s by default. The call itself goes on.
    pub const fn probe_limit(mut self, duration: Duration) -> Self {
        self.config.probe_limit = duration;
        self
    }

    /// After closing, lets in a share of the calls that grows from 5 % to all over this time. Off by default.
    ///
    /// For a dependency that comes back cold. While it runs, admission reads the clock.
    pub const fn ramp(mut self, duration: Duration) -> Self {
        self.config.ramp = Some(duration);
        self
    }

    /// What a refusal says when it cannot know the time to come back: half-open and full, forced open. 1 s by default.
    pub const fn retry_after(mut self, duration: Duration) -> Self {
        self.config.retry_after = duration;
        self
    }

    /// Counts calls whose future was dropped before it ended as failures. Off by default: a caller that leaves says nothing
    /// about the dependency. For a timeout that stands *outside* the breaker and drops what hangs.
    pub const fn drops_as_failures(mut self) -> Self {
        self.config.drops_as_failures = true;
        self
    }

    /// Does not count answers that say "overloaded" as failures. They count by default, and the time that they name, up to
    /// [`max_open_for`](Self::max_open_for), is the least open time if one of them opens the breaker.
    pub const fn ignore_overload(mut self) -> Self {
        self.config.ignore_overload = true;
        self
    }

    /// Counts answers that say "your quota is spent" as failures. Off by default: they are about us.
    pub const fn count_throttled(mut self) -> Self {
        self.config.count_throttled = true;
        self
    }

    /// Makes jitter and ramp repeat from run to run.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Tells every transition and refusal to `observer`.
    pub fn observer(mut self, observer: impl Observer<Event>) -> Self {
        self.listener = Listener::new(observer);
        self
    }

    /// Builds the breaker.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> CircuitBreaker {
        let name = self.name;
        match self.try_build() {
            Ok(breaker) => breaker,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("circuit breaker `{name}`: {error}"),
        }
    }

    /// Builds the breaker, or says which setting makes no sense.
    ///
    /// # Errors
    /// A share that is not above 0 and at most 1, a count or window of zero or above its bound, jitter or growth outside of
    /// theirs, a minimum that the window cannot hold, two sizes for one kind of window, a name that is none.
    pub fn try_build(self) -> Result<CircuitBreaker, ConfigError> {
        let component = self.component(false)?;
        Ok(CircuitBreaker::of(Arc::new(component)))
    }

    /// Keeps one breaker for each key instead, all with these settings.
    pub const fn keyed(self) -> KeyedCircuitBreakerBuilder {
        KeyedCircuitBreakerBuilder::new(self)
    }

    pub(crate) fn component(mut self, keyed: bool) -> Result<Component, ConfigError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.name.validate()?;
        let config = &mut self.config;
        if config.calls.is_none() && config.time.is_none() {
            config.consecutive.get_or_insert(CONSECUTIVE_FAILURES);
        }
        config.validate()?;
        let component = Component::new(self.name, self.config, self.seed, self.listener, keyed);
        Ok(component)
    }
}

impl fmt::Debug for CircuitBreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
