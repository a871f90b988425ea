//! The machine: modes, what each does with a call, and the way from one to the next. No clock, no chance, no task.
//!
//! One word says the mode and the generation. While it says "closed", admitting a call is a load of it, and settling a call
//! touches only words that carry the generation they belong to; a lock is taken for transitions and probes alone.

use std::sync::Arc;
use std::time::Duration;

use buttress_sync::Mutex;
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_timer::{Moment, nanos};

use crate::config::Config;
use crate::event::Story;

mod admission;
mod call_window;
mod outcome;
mod round;
mod settlement;
mod streak;
mod tally;
mod time_window;
mod transition;
mod word;

#[cfg(all(test, buttress_loom))]
#[expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]
mod loom_tests;
#[cfg(all(test, not(buttress_loom)))]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail a test"
)]
mod tests;

pub(crate) use self::admission::Admission;
use self::call_window::CallWindow;
pub(crate) use self::call_window::MOST_CALLS;
pub(crate) use self::outcome::Outcome;
use self::round::Round;
use self::streak::Streak;
use self::tally::{Rule, Tally};
use self::time_window::TimeWindow;
pub(crate) use self::time_window::{LONGEST as LONGEST_WINDOW, SHORTEST as SHORTEST_WINDOW};
use self::word::Word;
pub(crate) use self::word::{Entry, Mode};

/// The state of a circuit breaker.
#[derive(Debug)]
pub(crate) struct Machine {
    word: AtomicU64,
    /// When the present mode ends: the open time, the ramp, or the first moment at which another probe may find room.
    until: AtomicU64,
    refused: AtomicU64,
    streak: Streak,
    calls: Option<(CallWindow, Rule)>,
    /// Apart, because it takes more room than all the rest.
    time: Option<Box<(TimeWindow, Rule)>>,
    /// The longest time that a refusal names when it cannot know, in nanoseconds.
    longest_guess: u64,
    /// Settings only; many machines of one component have the same.
    config: Arc<Config>,
    outage: Mutex<Outage>,
}

/// What only transitions and probes need.
#[derive(Debug)]
struct Outage {
    round: Round,
    story: Story,
    opened_at: Moment,
    refused_before: u64,
    changed_at: Moment,
}

/// The machine's own figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) mode: Mode,
    pub(crate) generation: u32,
    pub(crate) consecutive_failures: u32,
    pub(crate) refused: u64,
    pub(crate) failure_rate: f64,
    pub(crate) slow_rate: f64,
    pub(crate) probes_in_flight: usize,
    pub(crate) open_for: Option<Duration>,
    pub(crate) changed_at: Moment,
}

impl Machine {
    pub(crate) fn new(config: impl Into<Arc<Config>>) -> Self {
        let config = config.into();
        let word = Word::first(config.slow_after.is_some());
        let rule = |most, failed, slow| Rule {
            minimum_calls: config.minimum_calls(most).into(),
            failed,
            slow,
        };
        Self {
            word: AtomicU64::new(word.bits()),
            until: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            streak: Streak::new(word.generation()),
            calls: config.calls.map(|window| {
                let slots = CallWindow::new(window.size, word.generation());
                (slots, rule(window.size, window.failed, window.slow))
            }),
            time: config.time.map(|window| {
                let buckets = TimeWindow::new(window.size, word.generation());
                Box::new((buckets, rule(u32::MAX, window.failed, window.slow)))
            }),
            longest_guess: nanos(config.retry_after),
            outage: Mutex::new(Outage::new(&config)),
            config,
        }
    }

    pub(crate) fn figures(&self, now: Moment) -> Figures {
        let calls = self
            .calls
            .as_ref()
            .map(|(window, _)| window.tally())
            .unwrap_or_default();
        let time = self
            .time
            .as_deref()
            .map(|(window, _)| window.tally(now))
            .unwrap_or_default();
        let larger = |rate: fn(Tally) -> f64| rate(calls).max(rate(time));
        let consecutive_failures = self.streak.length();
        let outage = self.outage.lock();
        let word = self.word();
        Figures {
            mode: word.mode(),
            generation: word.generation(),
            consecutive_failures,
            refused: self.refused.load(Ordering::Relaxed),
            failure_rate: larger(Tally::failure_rate),
            slow_rate: larger(Tally::slow_rate),
            probes_in_flight: outage.round.in_flight(),
            open_for: (word.mode() == Mode::Open).then(|| self.until().since(now)),
            changed_at: outage.changed_at,
        }
    }

    /// Whether it is as good as new: closed, and nothing bad in any window. Asks for the time only where there is a window in time.
    pub(crate) fn is_clean(&self, now: impl FnOnce() -> Moment) -> bool {
        let is_good = |tally: Tally| tally.failed == 0 && tally.slow == 0;
        let (calls, time) = (self.calls.as_ref(), self.time.as_deref());
        self.word().mode() == Mode::Closed
            && self.has_no_streak()
            && calls.is_none_or(|(window, _)| is_good(window.tally()))
            && time.is_none_or(|(window, _)| is_good(window.tally(now())))
    }

    /// How many calls it has refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The mode and the generation: what a closed breaker is asked, and all it is asked.
    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    fn until(&self) -> Moment {
        Moment::from_nanos(self.until.load(Ordering::Acquire))
    }
}

impl Outage {
    fn new(config: &Config) -> Self {
        Self {
            round: Round::new(config.probes, config.successes_to_close, config.probe_limit),
            story: Story::default(),
            opened_at: Moment::START,
            refused_before: 0,
            changed_at: Moment::START,
        }
    }
}
