//! Figures drawn from the calls of a run, all of them kept: exact shares and exact percentiles.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::attempts::Attempts;
use crate::clients::{Caller, Greed};
use crate::levels::Degraded;
use crate::load::call::{Call, Outcome};
use crate::report::millis;
use crate::stage::{PerClass, PerSide, PerUpstream, Side, Upstream};

#[cfg(test)]
mod tests;

/// The width of the bins in which a recovery is looked for, and of the report's timeline.
pub const BIN: Duration = Duration::from_millis(500);

/// What became of a set of calls: those to one upstream, or those of one class, through one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub calls: usize,
    pub served: usize,
    /// Answered with less than what was asked for: these are not served.
    pub degraded: Degraded,
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
            Outcome::Degraded(level) => return self.degraded.count(level),
            Outcome::Served => &mut self.served,
            Outcome::Refused => &mut self.refused,
            Outcome::Limited => &mut self.limited,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Failed => &mut self.failed,
        } += 1;
    }

    /// Calls that got no answer that is of any use, not even a degraded one.
    pub const fn unanswered(&self) -> usize {
        self.lost() - self.degraded.total()
    }

    /// Calls that were not served, for whatever reason; those with a degraded answer are among them.
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
            degraded: a.degraded.plus(b.degraded).plus(c.degraded),
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

/// All calls of a run in the order they were due. Those of the greedy client stand by themselves, and are in
/// no other figure.
#[derive(Debug, Default)]
pub struct Record {
    calls: Vec<Call>,
    greedy: Vec<Call>,
}

impl Record {
    pub fn new(mut calls: Vec<Call>) -> Self {
        calls.sort_by_key(|call| call.due);
        let (greedy, calls) = calls
            .into_iter()
            .partition(|call| call.caller == Caller::Greedy);
        Self { calls, greedy }
    }

    /// The calls that were due in `span`.
    pub fn due_in(&self, span: Range<Duration>) -> &[Call] {
        due_in(&self.calls, &span)
    }

    /// What became of the greedy client's calls in `span`, and what it cost the others.
    pub fn greed(&self, span: Range<Duration>) -> PerSide<Greed> {
        let (greedy, others) = (due_in(&self.greedy, &span), self.due_in(span));
        let all = |calls: &[Call], side| Figures::of(calls.iter().filter(|call| call.side == side));
        PerSide::from_fn(|side| {
            let its = all(greedy, side);
            Greed {
                calls: its.calls,
                limited: its.limited,
                served: its.served,
                others_limited: all(others, side).limited,
            }
        })
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

    /// How long after `since` a call to payments that was due by then, and before `until`, had a degraded
    /// answer, down to its last byte.
    pub fn first_degraded(&self, side: Side, since: Duration, until: Duration) -> Option<Duration> {
        let calls = self.due_in(since..until).iter();
        let degraded = calls.filter(|call| {
            let is_its = call.side == side && call.upstream == Upstream::Payments;
            is_its && matches!(call.outcome, Outcome::Degraded(_))
        });
        degraded.map(|call| call.due + call.latency - since).min()
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

fn due_in<'a>(sorted: &'a [Call], span: &Range<Duration>) -> &'a [Call] {
    let index = |time| sorted.partition_point(|call| call.due < time);
    let start = index(span.start);
    // In a run that was cut short a span may be over before it begins.
    &sorted[start..index(span.end).max(start)]
}

fn of(calls: &[Call], side: Side, upstream: Upstream) -> Figures {
    Figures::of(
        calls
            .iter()
            .filter(|call| call.side == side && call.upstream == upstream),
    )
}
