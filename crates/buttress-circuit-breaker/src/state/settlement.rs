//! Taking results in.

use buttress_sync::atomic::Ordering;

use super::call_window::CallSums;
use super::outcome::Outcome;
use super::tally::RateRule;
use super::time_window::Bucket;
use super::word::{Entry, Mode, Word};
use super::{Machine, Outage};
use crate::event::{Cause, Event};
use buttress_timer::Moment;

impl Machine {
    /// Whether there is no streak of failures to end.
    #[inline(always)]
    pub(crate) fn has_no_streak(&self) -> bool {
        self.streak.length() == 0
    }

    /// Whether a good call would leave the window of calls as it is.
    #[inline(always)]
    pub(crate) fn holds_good_calls(&self, entry: Entry) -> bool {
        self.calls
            .as_ref()
            .is_some_and(|(window, _)| window.is_full_of_good_calls(entry.generation()))
    }

    /// Takes the result of a call into the windows that admitted it, and tells why that opens the breaker, if it does.
    ///
    /// `now` is not looked at where there is no window in time.
    pub(crate) fn record(&self, entry: Entry, outcome: Outcome, now: Moment) -> Option<Cause> {
        let streak = match outcome {
            Outcome::Nothing => return None,
            Outcome::Success { slow } => return self.record_success(entry, slow, now),
            Outcome::AbandonedSlow => 0,
            Outcome::Failure { .. } => self.streak.fail(entry.generation())?,
        };
        let by_rate = self.record_in_windows(entry.generation(), outcome, now);
        if self.config.consecutive.is_some_and(|limit| streak >= limit) {
            return Some(Cause::ConsecutiveFailures);
        }
        by_rate
    }

    /// [`record`](Self::record) for a success.
    #[inline(always)]
    pub(crate) fn record_success(&self, entry: Entry, slow: bool, now: Moment) -> Option<Cause> {
        self.streak.succeed(entry.generation());
        self.record_in_windows(entry.generation(), Outcome::Success { slow }, now)
    }

    #[inline(always)]
    fn record_in_windows(&self, generation: u32, outcome: Outcome, now: Moment) -> Option<Cause> {
        let time = self.time.as_deref();
        let in_time = || {
            let (window, rule) = time?;
            window.record(generation, outcome, now, rule.minimum_calls)
        };
        let Some((window, _)) = &self.calls else {
            // On a way of its own: ten instructions less. Counted.
            return in_time().and_then(|bucket| self.judge(None, Some(bucket)));
        };
        let calls = window.record(generation, outcome);
        let bucket = in_time();
        if calls.is_none() && bucket.is_none() {
            None
        } else {
            self.judge(calls, bucket)
        }
    }

    #[cold]
    fn judge(&self, calls: Option<CallSums>, bucket: Option<Bucket>) -> Option<Cause> {
        let by_calls = self.calls.as_ref().zip(calls);
        let by_time = self.time.as_deref().zip(bucket);
        by_calls
            .and_then(|((_, rule), sums)| rule.broken_by(sums.tally()))
            .or_else(|| {
                by_time.and_then(|((window, rule), bucket)| rule.broken_by(window.tally_at(bucket)))
            })
            .map(Cause::from)
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
