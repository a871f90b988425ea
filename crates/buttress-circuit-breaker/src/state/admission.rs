//! Letting calls in.

use buttress_sync::atomic::Ordering;

use super::transition::unit_interval;
use super::word::{Entry, Mode, Word};
use super::{Machine, Outage};
use crate::event::Event;
use buttress_timer::{Moment, nanos};

/// The least share of calls that a ramp lets in.
const FIRST_SHARE_OF_RAMP: f64 = 0.05;

/// What becomes of a call that was not let in at a glance, and what happened on the way.
#[derive(Debug)]
pub(crate) struct Admission {
    /// How it was let in, or in how many nanoseconds to come back.
    pub(crate) entry: Result<Entry, u64>,
    pub(crate) event: Option<Event>,
}

impl Machine {
    /// In how many nanoseconds to come back, when that is clear at a glance: open, or half-open without room.
    #[inline]
    pub(crate) fn refusal(&self, now: Moment) -> Option<u64> {
        let word = self.word();
        let left = self.until().nanos_since(now);
        let refuses = matches!(word.mode(), Mode::Open | Mode::HalfOpen);
        // Looked at again, because `until` may be that of a later mode. It is written before the word, so it may be so even then:
        // the wait that is told is then the one of what comes next, or a guess.
        if left == 0 || !refuses || self.word() != word {
            return None;
        }
        Some(self.refuse(word.mode(), left))
    }

    /// Decides on a call that was not let in at a glance.
    pub(crate) fn admit_slowly(&self, now: Moment, draw: impl Fn() -> u64) -> Admission {
        let word = self.word();
        let entry = match word.mode() {
            Mode::Open | Mode::HalfOpen => return self.admit_probe(now, draw),
            Mode::Closed | Mode::MetricsOnly | Mode::ForcedClosed => Ok(Entry::of(word)),
            Mode::ForcedOpen => Err(self.refuse(word.mode(), u64::MAX)),
            Mode::Ramping => self.admit_on_ramp(word, now, draw),
        };
        Admission { entry, event: None }
    }

    fn admit_on_ramp(&self, word: Word, now: Moment, draw: impl Fn() -> u64) -> Result<Entry, u64> {
        let left = self.until().nanos_since(now);
        if left == 0 {
            // The same generation goes on: nothing changes for the calls under way.
            let (ramping, closed) = (word.bits(), word.ramped().bits());
            let _ =
                self.word
                    .compare_exchange(ramping, closed, Ordering::AcqRel, Ordering::Relaxed);
            return Ok(Entry::of(word));
        }
        let share = 1.0 - share_of(left, self.config.ramp.map_or(left, nanos));
        if unit_interval(draw()) < share.max(FIRST_SHARE_OF_RAMP) {
            Ok(Entry::of(word))
        } else {
            Err(self.refuse(word.mode(), left))
        }
    }

    /// The open time may be over, or a probe may have ended: lets a probe in, if so.
    #[cold]
    fn admit_probe(&self, now: Moment, draw: impl Fn() -> u64) -> Admission {
        let mut outage = self.outage.lock();
        let word = self.word();
        let event = match word.mode() {
            Mode::Open if self.until() <= now => Some(self.half_open(&mut outage, word, now)),
            Mode::HalfOpen => self.expire_probes(&mut outage, word, now, &draw),
            _ => None,
        };
        let entry = self.admit_after_transition(&mut outage, now, draw);
        Admission { entry, event }
    }

    fn admit_after_transition(
        &self,
        outage: &mut Outage,
        now: Moment,
        draw: impl Fn() -> u64,
    ) -> Result<Entry, u64> {
        let word = self.word();
        match word.mode() {
            Mode::Closed | Mode::MetricsOnly | Mode::ForcedClosed => Ok(Entry::of(word)),
            Mode::Ramping => self.admit_on_ramp(word, now, draw),
            Mode::Open | Mode::ForcedOpen => {
                Err(self.refuse(word.mode(), self.until().nanos_since(now)))
            }
            Mode::HalfOpen => {
                let probe = outage.round.admit(now);
                self.show_room(outage);
                let left = self.until().nanos_since(now);
                probe
                    .map(|probe| Entry::of_probe(word, probe))
                    .ok_or_else(|| self.refuse(word.mode(), left))
            }
        }
    }

    /// Counts a refusal, and says in how many nanoseconds to come back: the open time is known; when a probe ends, or when a
    /// ramp lets this caller in, is a guess.
    #[inline]
    fn refuse(&self, mode: Mode, left: u64) -> u64 {
        self.refused.fetch_add(1, Ordering::Relaxed);
        match mode {
            Mode::Open => left,
            Mode::ForcedOpen => self.longest_guess,
            _ => left.min(self.longest_guess),
        }
    }
}

/// Part of a whole, for chance: a rounding does no harm.
#[expect(clippy::cast_precision_loss, reason = "said above")]
fn share_of(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
