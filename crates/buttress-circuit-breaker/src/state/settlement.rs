//! Taking results in.

use buttress_sync::atomic::Ordering;

use super::moment::Moment;
use super::outcome::Outcome;
use super::tally::RateRule;
use super::word::{Entry, Mode, Word};
use super::{Machine, Outage};
use crate::event::{Cause, Event};

impl Machine {
    /// Whether a quick success would leave everything as it is: the healthy path, loads only.
    #[inline]
    pub(crate) fn is_indifferent_to_success(&self, entry: Entry) -> bool {
        let window = match &self.calls {
            None => true,
            Some((window, _)) => window.is_full_of_good_calls(entry.generation()),
        };
        entry.is_closed() && self.time.is_none() && window && self.streak.length() == 0
    }

    /// Whether the windows need to know when a call ended.
    #[inline]
    pub(crate) const fn has_time_window(&self) -> bool {
        self.time.is_some()
    }

    /// Takes the result of a call into the windows that admitted it, and tells why that opens the breaker, if it does.
    ///
    /// `now` may be missing where [`has_time_window`](Self::has_time_window) says no.
    #[inline]
    pub(crate) fn record(
        &self,
        entry: Entry,
        outcome: Outcome,
        now: Option<Moment>,
    ) -> Option<Cause> {
        let generation = entry.generation();
        let streak = match outcome {
            Outcome::Nothing => return None,
            Outcome::AbandonedSlow => 0,
            Outcome::Failure { .. } => self.streak.fail(generation)?,
            Outcome::Success { .. } => {
                self.streak.succeed(generation);
                0
            }
        };
        let calls = self
            .calls
            .as_ref()
            .and_then(|(window, rule)| rule.broken_by(window.record(generation, outcome)?));
        let time = self.time.as_ref().and_then(|(window, rule)| {
            rule.broken_by(window.record(generation, outcome, now?, rule.minimum_calls)?)
        });
        if self.config.consecutive.is_some_and(|limit| streak >= limit) {
            return Some(Cause::ConsecutiveFailures);
        }
        calls.or(time).map(Cause::from)
    }

    /// Remembers what is known of a probe so far.
    pub(crate) fn note(
        &self,
        entry: Entry,
        outcome: Outcome,
        now: Moment,
        draw: u64,
    ) -> Option<Event> {
        let mut outage = self.outage.lock();
        let word = self.word_of_round(entry)?;
        let event = self.expire_probes(&mut outage, word, now, || draw);
        outage.round.note(entry.probe(), outcome);
        self.show_room(&outage);
        event
    }

    /// Ends a probe.
    #[cold]
    pub(crate) fn settle_probe(
        &self,
        entry: Entry,
        outcome: Outcome,
        now: Moment,
        draw: u64,
    ) -> Option<Event> {
        let mut outage = self.outage.lock();
        let word = self.word_of_round(entry)?;
        let event = self.expire_probes(&mut outage, word, now, || draw);
        if event.is_some() {
            return event;
        }
        let Outage { round, story, .. } = &mut *outage;
        let ruling = round.settle(entry.probe(), outcome, &mut story.probes);
        let event = self.follow(&mut outage, word, ruling, now, || draw);
        self.show_room(&outage);
        event
    }

    /// Says in `until` whether a probe finds room, so that refusals while there is none take no lock.
    pub(super) fn show_room(&self, outage: &Outage) {
        if self.word().mode() == Mode::HalfOpen {
            self.until
                .store(outage.round.full_until().nanos(), Ordering::Release);
        }
    }

    /// The present word, if the round that the probe belongs to is still on.
    fn word_of_round(&self, entry: Entry) -> Option<Word> {
        let word = self.word();
        let same = word.mode() == Mode::HalfOpen && word.generation() == entry.generation();
        same.then_some(word)
    }

    pub(super) fn expire_probes(
        &self,
        outage: &mut Outage,
        word: Word,
        now: Moment,
        draw: impl Fn() -> u64,
    ) -> Option<Event> {
        let ruling = outage.round.expire(now, &mut outage.story.probes);
        self.follow(outage, word, ruling, now, draw)
    }
}

impl From<RateRule> for Cause {
    fn from(rule: RateRule) -> Self {
        match rule {
            RateRule::Failed => Self::FailureRate,
            RateRule::Slow => Self::SlowCallRate,
        }
    }
}
