//! Figures drawn from the calls of a run, all of them kept: exact shares and exact percentiles.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::attempts::Attempts;
use crate::clients::Caller;
use crate::judge::Greed;
use crate::load::call::{Call, Outcome};
use crate::report::millis;
use crate::stage::{PerClass, PerSide, PerUpstream, Side, Upstream};

/// The width of the bins in which a recovery is looked for, and of the report's timeline.
pub const BIN: Duration = Duration::from_millis(500);

/// What became of a set of calls: those to one upstream, or those of one class, through one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub calls: usize,
    pub served: usize,
    pub refused: usize,
    /// Turned away because their client called too often.
    pub limited: usize,
    pub timed_out: usize,
    pub failed: usize,
    /// How often they were sent.
    pub attempts: Attempts,
    /// Of all calls, however they ended; `None` without calls.
    #[serde(rename = "p50_ms", serialize_with = "millis::serialize")]
    pub p50: Option<Duration>,
    #[serde(rename = "p99_ms", serialize_with = "millis::serialize")]
    pub p99: Option<Duration>,
}

impl Figures {
    pub fn of<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Self {
        let mut figures = Self::default();
        let mut latencies = Vec::new();
        for call in calls {
            figures.count(call.outcome);
            figures.attempts.count(call.attempts);
            latencies.push(call.latency);
        }
        latencies.sort_unstable();
        figures.p50 = percentile(&latencies, 50);
        figures.p99 = percentile(&latencies, 99);
        figures
    }

    const fn count(&mut self, outcome: Outcome) {
        self.calls += 1;
        *match outcome {
            Outcome::Served => &mut self.served,
            Outcome::Refused => &mut self.refused,
            Outcome::Limited => &mut self.limited,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Failed => &mut self.failed,
        } += 1;
    }

    /// Calls that were not served, for whatever reason.
    pub const fn lost(&self) -> usize {
        self.calls - self.served
    }

    /// Tells whether at least `percent` of the calls were served; without calls nothing was.
    pub const fn serves(&self, percent: usize) -> bool {
        self.calls > 0 && self.served * 100 >= self.calls * percent
    }
}

impl PerClass<Figures> {
    /// What became of all calls; without latencies, which do not add up.
    pub const fn total(&self) -> Figures {
        let [a, b, c] = [&self.checkout, &self.rest, &self.browse];
        Figures {
            calls: a.calls + b.calls + c.calls,
            served: a.served + b.served + c.served,
            refused: a.refused + b.refused + c.refused,
            limited: a.limited + b.limited + c.limited,
            timed_out: a.timed_out + b.timed_out + c.timed_out,
            failed: a.failed + b.failed + c.failed,
            attempts: a.attempts.plus(b.attempts).plus(c.attempts),
            p50: None,
            p99: None,
        }
    }
}

/// The smallest of `sorted` that at least `percent` of them do not exceed (nearest rank).
pub fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// All calls of a run in the order they were due; those of the greedy client by themselves, in no other figure.
#[derive(Debug, Default)]
pub struct Record {
    calls: Vec<Call>,
    greedy: Vec<Call>,
}

impl Record {
    pub fn new(calls: Vec<Call>) -> Self {
        let (greedy, mut calls): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .partition(|call| call.caller == Caller::Greedy);
        calls.sort_by_key(|call| call.due);
        Self { calls, greedy }
    }

    /// What became of the greedy client's calls, and what it cost the others.
    pub fn greed(&self) -> PerSide<Greed> {
        let limited = |calls: &[Call], side| {
            let limited = |call: &&Call| call.side == side && call.outcome == Outcome::Limited;
            calls.iter().filter(limited).count()
        };
        PerSide::from_fn(|side| {
            let its = self.greedy.iter().filter(|call| call.side == side);
            let Figures { calls, served, .. } = Figures::of(its);
            Greed {
                calls,
                served,
                limited: limited(&self.greedy, side),
                others_limited: limited(&self.calls, side),
            }
        })
    }

    /// The calls that were due in `span`.
    pub fn due_in(&self, span: Range<Duration>) -> &[Call] {
        let index = |time| self.calls.partition_point(|call| call.due < time);
        &self.calls[index(span.start)..index(span.end)]
    }

    /// The figures of `span`, for each gateway and upstream.
    pub fn figures(&self, span: Range<Duration>) -> PerSide<PerUpstream<Figures>> {
        let calls = self.due_in(span);
        PerSide::from_fn(|side| PerUpstream::from_fn(|upstream| of(calls, side, upstream)))
    }

    /// The figures of `span`, for each gateway and class of calls.
    pub fn classes(&self, span: Range<Duration>) -> PerSide<PerClass<Figures>> {
        let calls = self.due_in(span);
        let of = |side, class| {
            let its = |call: &&Call| call.side == side && call.class == class;
            Figures::of(calls.iter().filter(its))
        };
        PerSide::from_fn(|side| PerClass::from_fn(|class| of(side, class)))
    }

    /// How late the generator was, for 99 of 100 calls.
    pub fn lateness_p99(&self) -> Duration {
        let mut late: Vec<Duration> = self.calls.iter().map(|call| call.late).collect();
        late.sort_unstable();
        percentile(&late, 99).unwrap_or_default()
    }

    /// How long after `since` payments was served again: the first of two bins in a row, counted
    /// from `since` and over by `until`, in which at least 99 % of the calls were served.
    pub fn served_again(&self, side: Side, since: Duration, until: Duration) -> Option<Duration> {
        let bins = (0_u32..)
            .map(|n| since + BIN * n)
            .take_while(|from| *from + BIN <= until);
        let mut previous = None;
        for from in bins {
            let served = of(self.due_in(from..from + BIN), side, Upstream::Payments).serves(99);
            match previous {
                Some(first) if served => return Some(first - since),
                _ => previous = served.then_some(from),
            }
        }
        None
    }
}

fn of(calls: &[Call], side: Side, upstream: Upstream) -> Figures {
    Figures::of(
        calls
            .iter()
            .filter(|call| call.side == side && call.upstream == upstream),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Class;

    fn payments(due_ms: u64, outcome: Outcome) -> Call {
        Call {
            side: Side::Protected,
            upstream: Upstream::Payments,
            class: Class::Checkout,
            caller: Caller::Fair(0),
            due: Duration::from_millis(due_ms),
            late: Duration::ZERO,
            latency: Duration::from_millis(due_ms + 1),
            outcome,
            attempts: 1,
        }
    }

    /// Ten calls in each bin, of which `served[bin]` are served.
    fn bins(served: &[u64]) -> Record {
        let calls = (0..).zip(served).flat_map(|(bin, served)| {
            let outcome = |n| {
                if n < *served {
                    Outcome::Served
                } else {
                    Outcome::Failed
                }
            };
            (0..10).map(move |n| payments(bin * 500 + n * 50, outcome(n)))
        });
        Record::new(calls.collect())
    }

    fn again(served: &[u64]) -> Option<u128> {
        let end = BIN * u32::try_from(served.len()).unwrap();
        let found = bins(served).served_again(Side::Protected, Duration::ZERO, end);
        found.map(|after| after.as_millis())
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&hundred, 50), Some(Duration::from_millis(50)));
        assert_eq!(percentile(&hundred, 99), Some(Duration::from_millis(99)));
        assert_eq!(
            percentile(&hundred[..1], 99),
            Some(Duration::from_millis(1))
        );
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn every_call_is_counted_once_by_its_outcome() {
        use Outcome::{Failed, Refused, Served, TimedOut};
        let outcomes = [Served, Served, Refused, TimedOut, Failed, Failed];
        let calls: Vec<Call> = (0..).zip(outcomes).map(|(n, o)| payments(n, o)).collect();
        let figures = Figures::of(&calls);
        assert_eq!((figures.calls, figures.served, figures.refused), (6, 2, 1));
        assert_eq!(
            (figures.timed_out, figures.failed, figures.lost()),
            (1, 2, 4)
        );
    }

    #[test]
    fn a_span_holds_its_start_and_not_its_end() {
        let record = bins(&[10, 10]);
        assert_eq!(record.due_in(Duration::ZERO..BIN).len(), 10);
        assert_eq!(record.due_in(BIN..BIN * 2).len(), 10);
    }

    #[test]
    fn figures_keep_gateways_upstreams_and_classes_apart() {
        let figures = bins(&[10]).figures(Duration::ZERO..BIN);
        assert_eq!(figures.protected.payments.served, 10);
        assert_eq!(figures.protected.inventory.calls, 0);
        assert_eq!(figures.bare.payments.calls, 0);
        let classes = bins(&[10]).classes(Duration::ZERO..BIN);
        assert_eq!(classes.protected.checkout.served, 10);
        assert_eq!(classes.protected.browse.calls, 0);
        assert_eq!(classes.bare.checkout.calls, 0);
    }

    #[test]
    fn the_greedy_client_is_in_no_figure_but_its_own() {
        let greedy = |n, outcome| Call {
            caller: Caller::Greedy,
            ..payments(n, outcome)
        };
        let calls = vec![
            payments(1, Outcome::Served),
            greedy(2, Outcome::Limited),
            greedy(3, Outcome::Served),
        ];
        let record = Record::new(calls);
        assert_eq!(
            record.figures(Duration::ZERO..BIN).protected.payments.calls,
            1
        );
        let greed = record.greed().protected;
        assert_eq!((greed.calls, greed.limited, greed.served), (2, 1, 1));
        assert_eq!((greed.admitted(), greed.others_limited), (1, 0));
    }

    #[test]
    fn served_again_is_the_first_of_two_good_bins_in_a_row() {
        assert_eq!(again(&[10, 10, 10]), Some(0));
        assert_eq!(again(&[0, 0, 10, 10]), Some(1_000));
        assert_eq!(again(&[10, 0, 10, 10]), Some(1_000));
        assert_eq!(again(&[10, 9, 10, 9, 10]), None);
        assert_eq!(again(&[0, 10]), None);
    }

    #[test]
    fn a_bin_without_calls_serves_nothing() {
        let none = Record::default().served_again(Side::Bare, Duration::ZERO, BIN * 10);
        assert_eq!(none, None);
    }
}
