use std::time::SystemTime;

use buttress_core::Name;

use crate::snapshot::State;

/// The figures of the breakers of many keys at one moment. Exact when nothing is running.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyedSnapshot {
    /// The name of all of them.
    pub name: Name,
    /// Keys that have a breaker of their own.
    pub keys: usize,
    /// Keys that can have one.
    pub max_keys: usize,
    /// How often the breaker was asked for that keys share for which there is no room.
    pub overflowed: u64,
    /// Requests refused because they had no key.
    pub keyless: u64,
    /// How many of the keys' own breakers are in which state.
    pub states: States,
    /// The state of the shared one.
    pub shared: State,
    /// Calls that failed, of all keys, since it was built.
    pub failure_count: u64,
    /// Calls that succeeded, of all keys, since it was built.
    pub success_count: u64,
    /// Calls that ended without saying anything about the dependency, of all keys, since it was built.
    pub neutral_count: u64,
    /// Calls refused by a breaker, of all keys, since it was built.
    pub refused_count: u64,
    /// When a call last failed; for display only.
    pub last_failure_time: Option<SystemTime>,
}

/// How many breakers are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct States {
    /// Closed.
    pub closed: usize,
    /// Open.
    pub open: usize,
    /// Half-open.
    pub half_open: usize,
    /// In a state that somebody put them into by hand, open.
    pub forced_open: usize,
    /// In a state that somebody put them into by hand, letting calls through.
    pub forced_closed: usize,
}

impl States {
    pub(crate) const fn count(&mut self, state: State) {
        let count = match state {
            State::Closed => &mut self.closed,
            State::Open => &mut self.open,
            State::HalfOpen => &mut self.half_open,
            State::ForcedOpen => &mut self.forced_open,
            State::ForcedClosed | State::MetricsOnly => &mut self.forced_closed,
        };
        *count += 1;
    }

    /// How many keep calls out, or most of them.
    pub(crate) const fn keep_out(&self) -> usize {
        self.open + self.half_open + self.forced_open
    }
}
