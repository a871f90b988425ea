use std::time::Duration;

use super::outcome::Outcome;
use super::word::Entry;
use crate::event::Probes;
use buttress_timer::Moment;

/// The probes of one half-open period, and how they have fared.
///
/// A probe ends in one of four ways: with a result, dropped, with a panic (a result, too), or at its time limit. Each of
/// them ends it here, so a round cannot stick. Its successes are counted, never weighed against a window.
#[derive(Debug)]
pub(crate) struct Round {
    in_flight: Vec<Probe>,
    next: u32,
    successes: u32,
    most: usize,
    needed: u32,
    limit: Duration,
}

#[derive(Debug)]
struct Probe {
    number: u32,
    started: Moment,
    noted: Option<Outcome>,
}

/// What the probes settled so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Nothing yet.
    Open,
    /// The dependency is well.
    Close,
    /// The dependency is not well, and may have said how long to stay away.
    Reopen { hint: Option<Duration> },
}

impl Round {
    /// No probe yet; at most `most` at once, `needed` successes close, `limit` for each.
    pub(crate) fn new(most: u32, needed: u32, limit: Duration) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self {
            in_flight: Vec::new(),
            next: 0,
            successes: 0,
            most,
            needed,
            limit,
        }
    }

    /// Forgets the probes of the round before.
    pub(crate) fn restart(&mut self) {
        self.in_flight.clear();
        self.successes = 0;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Lets a probe in, if one more could matter, and tells its number.
    pub(crate) fn admit(&mut self, now: Moment) -> Option<u32> {
        if !self.has_room() {
            return None;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1) & Entry::PROBE_MASK;
        if self.in_flight.is_empty() {
            // Not before there is one: most breakers of most keys never open.
            self.in_flight.reserve_exact(self.most);
        }
        self.in_flight.push(Probe {
            number,
            started: now,
            noted: None,
        });
        Some(number)
    }

    fn has_room(&self) -> bool {
        let still_needed = self.needed.saturating_sub(self.successes);
        let room = usize::try_from(still_needed)
            .unwrap_or(usize::MAX)
            .min(self.most);
        self.in_flight.len() < room
    }

    /// Until when nobody can be let in, as far as can be known: zero time while there is room, else the first time limit.
    pub(crate) fn full_until(&self) -> Moment {
        if self.has_room() {
            return Moment::START;
        }
        let limits = self
            .in_flight
            .iter()
            .map(|probe| probe.started.plus(self.limit));
        limits.min().unwrap_or(Moment::START)
    }

    /// Remembers what is known of a probe, for the case that it runs into its limit.
    pub(crate) fn note(&mut self, number: u32, outcome: Outcome) {
        if let Some(probe) = self
            .in_flight
            .iter_mut()
            .find(|probe| probe.number == number)
        {
            probe.noted = Some(outcome);
        }
    }

    /// Ends a probe with its result. One that was ended at its limit is not ended again.
    pub(crate) fn settle(&mut self, number: u32, outcome: Outcome, probes: &mut Probes) -> Ruling {
        let place = self
            .in_flight
            .iter()
            .position(|probe| probe.number == number);
        match place {
            None => Ruling::Open,
            Some(place) => {
                // Keeps the order of arrival: probes end at their limit in that order.
                self.in_flight.remove(place);
                self.count(outcome, probes)
            }
        }
    }

    /// Ends the probes that have reached their limit: with what was noted, as failures when nothing was.
    pub(crate) fn expire(&mut self, now: Moment, probes: &mut Probes) -> Ruling {
        let mut ruling = Ruling::Open;
        while let Some(place) = self.first_expired(now) {
            let probe = self.in_flight.remove(place);
            probes.late += 1;
            let failure = Outcome::Failure {
                slow: false,
                hint: None,
            };
            ruling = self.count(probe.noted.unwrap_or(failure), probes);
            if ruling != Ruling::Open {
                break;
            }
        }
        ruling
    }

    fn first_expired(&self, now: Moment) -> Option<usize> {
        let expired = |probe: &Probe| probe.started.plus(self.limit) <= now;
        let candidates = self
            .in_flight
            .iter()
            .enumerate()
            .filter(|(_, probe)| expired(probe));
        candidates
            .min_by_key(|(_, probe)| probe.started)
            .map(|(place, _)| place)
    }

    /// A slow success is no sign of health where slowness opened the breaker.
    fn count(&mut self, outcome: Outcome, probes: &mut Probes) -> Ruling {
        match outcome {
            Outcome::Nothing => {
                probes.dropped += 1;
                Ruling::Open
            }
            Outcome::Success { slow: false } => {
                probes.good += 1;
                self.successes += 1;
                if self.successes >= self.needed {
                    Ruling::Close
                } else {
                    Ruling::Open
                }
            }
            Outcome::Success { slow: true } | Outcome::AbandonedSlow | Outcome::Failure { .. } => {
                probes.failed += 1;
                Ruling::Reopen {
                    hint: outcome.hint(),
                }
            }
        }
    }
}
