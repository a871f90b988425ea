//! Letting calls in.

use std::time::Duration;

use buttress_sync::atomic::Ordering;

use super::Machine;
use super::moment::Moment;
use super::transition::unit_interval;
use super::word::{Entry, Mode, Word};
use crate::event::Event;

/// The least share of calls that a ramp lets in.
const FIRST_SHARE_OF_RAMP: f64 = 0.05;

/// What becomes of a call that did not find the breaker closed, and what happened on the way.
#[derive(Debug)]
pub(crate) struct Admission {
    /// How it was let in, or when to come back.
    pub(crate) entry: Result<Entry, Duration>,
    pub(crate) event: Option<Event>,
}

impl Machine {
    /// How long to wait, in nanoseconds, when that is clear at a glance: open, or half-open without room.
    #[inline]
    pub(crate) fn refusal(&self, now: Moment) -> Option<u64> {
        let mode = self.word().mode();
        let left = self.until().nanos_since(now);
        if left == 0 || !matches!(mode, Mode::Open | Mode::HalfOpen) {
            return None;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        // The open time is known; when a probe ends is not, except that it is judged at its limit.
        let known = mode == Mode::Open;
        Some(if known {
            left
        } else {
            left.min(self.longest_guess)
        })
    }

    /// Decides on a call that was not let in at a glance.
    pub(crate) fn admit_slowly(&self, now: Moment, draw: impl Fn() -> u64) -> Admission {
        let word = self.word();
        match word.mode() {
            Mode::Closed | Mode::MetricsOnly | Mode::ForcedClosed => Ok(Entry::of(word)).into(),
            Mode::Ramping => self.admit_on_ramp(word, now, draw).into(),
            Mode::ForcedOpen => self.refuse(self.config.retry_after).into(),
            Mode::Open | Mode::HalfOpen => match self.refusal(now) {
                Some(nanos) => Err(Duration::from_nanos(nanos)).into(),
                None => self.admit_probe(now, draw),
            },
        }
    }

    fn admit_on_ramp(
        &self,
        word: Word,
        now: Moment,
        draw: impl Fn() -> u64,
    ) -> Result<Entry, Duration> {
        let left = self.until().since(now);
        if left.is_zero() {
            // The same generation goes on: nothing changes for the calls under way.
            let ramped = word.ramped().bits();
            let _ = self.word.compare_exchange(
                word.bits(),
                ramped,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            return Ok(Entry::of(word));
        }
        let whole = self.config.ramp.unwrap_or(left);
        let share = 1.0 - left.as_secs_f64() / whole.as_secs_f64();
        if unit_interval(draw()) < share.max(FIRST_SHARE_OF_RAMP) {
            Ok(Entry::of(word))
        } else {
            self.refuse(self.config.retry_after.min(left))
        }
    }

    /// The open time is over, or a probe has ended: lets a probe in.
    #[cold]
    fn admit_probe(&self, now: Moment, draw: impl Fn() -> u64) -> Admission {
        let mut outage = self.outage.lock();
        let word = self.word();
        let event = match word.mode() {
            Mode::Open if self.until() <= now => Some(self.half_open(&mut outage, word, now)),
            Mode::HalfOpen => self.expire_probes(&mut outage, word, now, &draw),
            _ => None,
        };
        let word = self.word();
        let entry = match word.mode() {
            Mode::HalfOpen => outage
                .round
                .admit(now)
                .map(|probe| Entry::of_probe(word, probe)),
            Mode::Open | Mode::ForcedOpen => None,
            Mode::Ramping => {
                return Admission {
                    entry: self.admit_on_ramp(word, now, draw),
                    event,
                };
            }
            Mode::Closed | Mode::MetricsOnly | Mode::ForcedClosed => Some(Entry::of(word)),
        };
        self.show_room(&outage);
        let entry = match entry {
            Some(entry) => Ok(entry),
            None => self.refuse_until(word, self.until().since(now)),
        };
        Admission { entry, event }
    }

    fn refuse_until<T>(&self, word: Word, left: Duration) -> Result<T, Duration> {
        // The open time is known; when a probe ends is not, except that it is judged at its limit.
        let wait = if word.mode() == Mode::Open {
            left
        } else {
            self.config.retry_after.min(left)
        };
        self.refuse(wait)
    }

    fn refuse<T>(&self, wait: Duration) -> Result<T, Duration> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(wait)
    }
}

impl From<Result<Entry, Duration>> for Admission {
    fn from(entry: Result<Entry, Duration>) -> Self {
        Self { entry, event: None }
    }
}
