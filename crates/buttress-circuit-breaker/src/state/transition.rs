//! The way from one mode to the next, under the lock of the outage.

use std::time::Duration;

use buttress_sync::atomic::Ordering;

use super::round::Ruling;
use super::word::{Entry, Mode, Word};
use super::{Machine, Outage};
use crate::config::Config;
use crate::event::{Cause, Event, Story};
use buttress_timer::Moment;

impl Machine {
    /// Opens, if the breaker is still in the generation that admitted the call whose result demands it.
    #[cold]
    pub(crate) fn trip(
        &self,
        entry: Entry,
        cause: Cause,
        hint: Option<Duration>,
        now: Moment,
        draw: impl Fn() -> u64,
    ) -> Option<Event> {
        let may_open = |word: Word| {
            let judges = matches!(word.mode(), Mode::Closed | Mode::Ramping);
            judges && word.generation() == entry.generation()
        };
        // Most who come here come too late, and shall not keep probes from the lock.
        if !may_open(self.word()) {
            return None;
        }
        let mut outage = self.outage.lock();
        let word = self.word();
        if !may_open(word) {
            return None;
        }
        outage.story = Story::default();
        outage.opened_at = now;
        outage.refused_before = self.refused.load(Ordering::Relaxed);
        Some(self.open(&mut outage, word, cause, hint, now, draw()))
    }

    pub(super) fn follow(
        &self,
        outage: &mut Outage,
        word: Word,
        ruling: Ruling,
        now: Moment,
        draw: impl Fn() -> u64,
    ) -> Option<Event> {
        match ruling {
            Ruling::Open => None,
            Ruling::Close => Some(self.close(outage, word, now)),
            Ruling::Reopen { hint } => {
                outage.round.restart();
                outage.story.reopened = outage.story.reopened.saturating_add(1);
                Some(self.open(outage, word, Cause::ProbeFailed, hint, now, draw()))
            }
        }
    }

    pub(super) fn open(
        &self,
        outage: &mut Outage,
        word: Word,
        cause: Cause,
        hint: Option<Duration>,
        now: Moment,
        draw: u64,
    ) -> Event {
        let reopened = outage.story.reopened;
        let open_for = self.config.open_time(reopened, hint, draw);
        self.until
            .store(now.plus(open_for).nanos(), Ordering::Release);
        let sequence = self.change(outage, word.next(Mode::Open), now);
        Event::Opened {
            sequence,
            cause,
            open_for,
            reopened,
        }
    }

    pub(super) fn half_open(&self, outage: &mut Outage, word: Word, now: Moment) -> Event {
        outage.round.restart();
        self.until.store(0, Ordering::Release);
        let sequence = self.change(outage, word.next(Mode::HalfOpen), now);
        Event::HalfOpened { sequence }
    }

    pub(super) fn close(&self, outage: &mut Outage, word: Word, now: Moment) -> Event {
        let mode = match self.config.ramp {
            Some(ramp) if !ramp.is_zero() => {
                self.until.store(now.plus(ramp).nanos(), Ordering::Release);
                Mode::Ramping
            }
            _ => Mode::Closed,
        };
        let refused = self
            .refused
            .load(Ordering::Relaxed)
            .wrapping_sub(outage.refused_before);
        let open_for = now.since(outage.opened_at);
        let story = Story {
            open_for,
            refused,
            ..outage.story
        };
        let sequence = self.change(outage, word.next(mode), now);
        Event::Closed { sequence, story }
    }

    /// Puts the breaker into a mode by hand. Begins a new generation: calls under way move nothing any more.
    pub(crate) fn force(&self, mode: Mode, now: Moment) -> Event {
        let mut outage = self.outage.lock();
        outage.round.restart();
        outage.story = Story::default();
        let sequence = self.change(&mut outage, self.word().next(mode), now);
        Event::Forced {
            sequence,
            state: mode.state(),
        }
    }

    /// Begins the generation of `next`. Its windows are ready before any call can be admitted into it.
    pub(super) fn change(&self, outage: &mut Outage, next: Word, now: Moment) -> u32 {
        let generation = next.generation();
        if matches!(
            next.mode(),
            Mode::Closed | Mode::Ramping | Mode::MetricsOnly
        ) {
            self.streak.restart(generation);
            if let Some((window, _)) = &self.calls {
                window.restart(generation);
            }
            if let Some((window, _)) = self.time.as_deref() {
                window.restart(generation);
            }
        }
        outage.changed_at = now;
        self.word.store(next.bits(), Ordering::Release);
        generation
    }
}

impl Config {
    /// How long to stay open: grown with every failed probe, at least as long as the dependency asked for, both up to their
    /// bound; then lengthened by the jitter that was drawn. Never below what was configured.
    pub(crate) fn open_time(&self, reopened: u32, hint: Option<Duration>, draw: u64) -> Duration {
        let steps = i32::try_from(reopened).unwrap_or(i32::MAX);
        // Finite, so that an open time of zero stays zero however often it grows.
        let factor = self.growth.powi(steps).min(f64::MAX);
        let grown = Duration::try_from_secs_f64(self.open_for.as_secs_f64() * factor);
        let wished = grown.unwrap_or(Duration::MAX).max(hint.unwrap_or_default());
        let bounded = wished.min(self.max_open_for).max(self.open_for);
        let lengthened = 1.0 + self.jitter * unit_interval(draw);
        let jittered = Duration::try_from_secs_f64(bounded.as_secs_f64() * lengthened);
        jittered.unwrap_or(Duration::MAX).max(bounded)
    }
}

/// A number drawn from all of u64, as one in 0..1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
pub(super) fn unit_interval(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}
