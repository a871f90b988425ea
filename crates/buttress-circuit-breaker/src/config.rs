use std::fmt;
use std::time::Duration;

use buttress_core::ConfigError;

use crate::state::{LONGEST_WINDOW, MOST_CALLS, SHORTEST_WINDOW};
use crate::window::{Share, Window};

/// The rules of one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowConfig<Size> {
    pub(crate) size: Size,
    pub(crate) failed: Option<Share>,
    pub(crate) slow: Option<Share>,
}

impl<Size: Copy + PartialEq + fmt::Debug> WindowConfig<Size> {
    const fn new(size: Size) -> Self {
        Self {
            size,
            failed: None,
            slow: None,
        }
    }

    /// Its rules, for whoever means a window of the same size.
    fn rules(&mut self, size: Size) -> Result<Rules<'_>, ConfigError> {
        if self.size == size {
            return Ok(Rules {
                failed: &mut self.failed,
                slow: &mut self.slow,
            });
        }
        let problem = format!("is given twice, with {:?} and {size:?}", self.size);
        Err(ConfigError::new("window", problem))
    }
}

/// The limits of one window, of either kind.
pub(crate) struct Rules<'a> {
    pub(crate) failed: &'a mut Option<Share>,
    pub(crate) slow: &'a mut Option<Share>,
}

/// Every setting, once.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) consecutive: Option<u32>,
    pub(crate) calls: Option<WindowConfig<u32>>,
    pub(crate) time: Option<WindowConfig<Duration>>,
    pub(crate) minimum_calls: Option<u32>,
    pub(crate) slow_after: Option<Duration>,
    pub(crate) open_for: Duration,
    pub(crate) jitter: f64,
    pub(crate) growth: f64,
    pub(crate) max_open_for: Duration,
    pub(crate) probes: u32,
    pub(crate) successes_to_close: u32,
    pub(crate) probe_limit: Duration,
    pub(crate) ramp: Option<Duration>,
    pub(crate) retry_after: Duration,
    pub(crate) drops_as_failures: bool,
    pub(crate) ignore_overload: bool,
    pub(crate) count_throttled: bool,
}

/// How many calls a window must hold before its rates mean anything, unless it cannot hold as many.
pub(crate) const MINIMUM_CALLS: u32 = 20;
/// The rule where no other is given.
pub(crate) const CONSECUTIVE_FAILURES: u32 = 5;
/// More than a window in time can be asked to hold.
const LARGEST_MINIMUM: u32 = 1_000_000;
const MOST_PROBES: u32 = 1000;
const LARGEST_GROWTH: f64 = 100.0;

/// What a success has to do with, in the order of its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Success {
    /// It ends a streak of failures.
    EndsStreak,
    /// It goes into a window of calls, too.
    EntersCalls,
    /// It needs the time: for slow calls, or for a window in time.
    TakesTime,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            consecutive: None,
            calls: None,
            time: None,
            minimum_calls: None,
            slow_after: None,
            open_for: Duration::from_secs(60),
            jitter: 0.2,
            growth: 1.0,
            max_open_for: Duration::from_secs(600),
            probes: 3,
            successes_to_close: 3,
            probe_limit: Duration::from_secs(30),
            ramp: None,
            retry_after: Duration::from_secs(1),
            drops_as_failures: false,
            ignore_overload: false,
            count_throttled: false,
        }
    }
}

impl Config {
    /// The calls that a window which can hold `most` must hold before it is judged.
    pub(crate) fn minimum_calls(&self, most: u32) -> u32 {
        self.minimum_calls.unwrap_or(MINIMUM_CALLS.min(most))
    }

    /// What a success has to do with under these rules.
    pub(crate) const fn success(&self) -> Success {
        if self.slow_after.is_some() || self.time.is_some() {
            Success::TakesTime
        } else if self.calls.is_some() {
            Success::EntersCalls
        } else {
            Success::EndsStreak
        }
    }

    /// The rules of the window of this kind, which comes to be when it is first named.
    pub(crate) fn rules_of(&mut self, window: Window) -> Result<Rules<'_>, ConfigError> {
        match window {
            Window::Calls(size) => self
                .calls
                .get_or_insert(WindowConfig::new(size))
                .rules(size),
            Window::Time(size) => self.time.get_or_insert(WindowConfig::new(size)).rules(size),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let above_zero = |setting, value: u32| match value {
            0 => Err(ConfigError::new(setting, "must be above 0")),
            _ => Ok(()),
        };
        above_zero("consecutive_failures", self.consecutive.unwrap_or(1))?;
        if !(1..=LARGEST_MINIMUM).contains(&self.minimum_calls.unwrap_or(1)) {
            let problem = format!("must be in 1..={LARGEST_MINIMUM}");
            return Err(ConfigError::new("minimum_calls", problem));
        }
        above_zero("successes_to_close", self.successes_to_close)?;
        if self.probes == 0 || self.probes > MOST_PROBES {
            return Err(ConfigError::new(
                "probes",
                format!("must be in 1..={MOST_PROBES}"),
            ));
        }
        if self.probe_limit.is_zero() {
            return Err(ConfigError::new(
                "probe_limit",
                "must be above 0: every probe would fail",
            ));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            let problem = format!("must be in 0..=1, not {}", self.jitter);
            return Err(ConfigError::new("jitter", problem));
        }
        if !(1.0..=LARGEST_GROWTH).contains(&self.growth) {
            let problem = format!("must be in 1..={LARGEST_GROWTH}, not {}", self.growth);
            return Err(ConfigError::new("growth", problem));
        }
        self.validate_windows()
    }

    fn validate_windows(&self) -> Result<(), ConfigError> {
        if let Some(WindowConfig { size, .. }) = self.calls {
            if size == 0 || size > MOST_CALLS {
                return Err(ConfigError::new(
                    "window",
                    format!("must be 1..={MOST_CALLS} calls"),
                ));
            }
            if self.minimum_calls(size) > size {
                let problem = format!("is more than the window's {size}: it would never be judged");
                return Err(ConfigError::new("minimum_calls", problem));
            }
        }
        match self.time {
            Some(window) if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&window.size) => {
                let problem = format!("must be {SHORTEST_WINDOW:?} to {LONGEST_WINDOW:?} long");
                Err(ConfigError::new("window", problem))
            }
            _ => Ok(()),
        }
    }
}
