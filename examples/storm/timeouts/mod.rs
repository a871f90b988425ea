//! What the timeouts of the protected gateway were, and what the attempts took that they learned from.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::figures::percentile;
use crate::report::millis;
use crate::stage::{PerUpstream, Upstream};

#[cfg(test)]
mod tests;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the head of an answer, whatever it said, after so long.
    Answered(Duration),
    /// Without one: nobody listened, or the connection broke.
    Failed,
    /// It was dropped before. That does its timeout alone: callers wait longer than any call lasts.
    Cut,
}

/// What became of a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Too many attempts were cut to learn from the others.
    Frozen,
    /// It learns again.
    Resumed,
}

/// Something that was so from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct At<T> {
    #[serde(rename = "at_ms", serialize_with = "millis::serialize")]
    pub at: Duration,
    #[serde(flatten)]
    pub what: T,
}

/// How long an attempt might take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    #[serde(rename = "timeout_ms", serialize_with = "millis::serialize")]
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Turned {
    pub turn: Turn,
}

/// A log that the protected gateway writes and the report reads.
#[derive(Clone, Debug, Default)]
pub struct Timings(Arc<Mutex<PerUpstream<Log>>>);

#[derive(Clone, Debug, Default)]
struct Log {
    limits: Vec<(Instant, Duration)>,
    turns: Vec<(Instant, Turn)>,
    /// When an attempt was sent, and how it ended.
    ends: Vec<(Instant, End)>,
}

impl Timings {
    /// Waits for an attempt, and notes how it ended.
    pub async fn time<T, E>(
        self,
        upstream: Upstream,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut open = Open {
            timings: self,
            upstream,
            sent: Instant::now(),
            end: End::Cut,
        };
        let answer = attempt.await;
        open.end = match &answer {
            Ok(_) => End::Answered(open.sent.elapsed()),
            Err(_) => End::Failed,
        };
        answer
    }

    pub fn turn(&self, upstream: Upstream, turn: Turn) {
        self.write(upstream, |log| log.turns.push((Instant::now(), turn)));
    }

    /// Notes how long an attempt may take, if that is news.
    pub fn allow(&self, upstream: Upstream, timeout: Duration) {
        self.write(upstream, |log| {
            if log.limits.last().is_none_or(|(_, last)| *last != timeout) {
                log.limits.push((Instant::now(), timeout));
            }
        });
    }

    fn write(&self, upstream: Upstream, write: impl FnOnce(&mut Log)) {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write(match upstream {
            Upstream::Inventory => &mut logs.inventory,
            Upstream::Payments => &mut logs.payments,
        });
    }

    /// All that was noted, its times counted from `start`.
    pub fn since(&self, start: Instant) -> PerUpstream<History> {
        let logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        PerUpstream::from_fn(|upstream| logs.of(upstream).since(start))
    }
}

/// An attempt under way; it is noted as it goes.
struct Open {
    timings: Timings,
    upstream: Upstream,
    sent: Instant,
    end: End,
}

impl Drop for Open {
    fn drop(&mut self) {
        let noted = (self.sent, self.end);
        self.timings
            .write(self.upstream, |log| log.ends.push(noted));
    }
}

impl Log {
    fn since(&self, start: Instant) -> History {
        let at = |instant: &Instant| instant.saturating_duration_since(start);
        let limits = self.limits.iter().map(|(instant, timeout)| At {
            at: at(instant),
            what: Limit { timeout: *timeout },
        });
        let turns = self.turns.iter().map(|(instant, turn)| At {
            at: at(instant),
            what: Turned { turn: *turn },
        });
        let ends = self.ends.iter().map(|(instant, end)| (at(instant), *end));
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by_key(|(sent, _)| *sent);
        History {
            limits: limits.collect(),
            turns: turns.collect(),
            ends,
        }
    }
}

/// The timeout towards one upstream over a run, and how the attempts ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct History {
    /// The timeout each time it was seen to have changed.
    pub limits: Vec<At<Limit>>,
    pub turns: Vec<At<Turned>>,
    /// By when they were sent.
    #[serde(skip)]
    ends: Vec<(Duration, End)>,
}

/// The attempts towards one upstream that were sent in a part of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timed {
    pub answered: usize,
    pub failed: usize,
    pub cut: usize,
    /// Of those that were answered, to the head of the answer.
    #[serde(rename = "p50_ms", serialize_with = "millis::serialize")]
    pub p50: Option<Duration>,
    #[serde(rename = "p95_ms", serialize_with = "millis::serialize")]
    pub p95: Option<Duration>,
    /// How long one might take at the end of that part.
    #[serde(rename = "timeout_ms", serialize_with = "millis::serialize")]
    pub timeout: Option<Duration>,
}

impl Timed {
    pub const fn all(&self) -> usize {
        self.answered + self.failed + self.cut
    }
}

impl History {
    /// The attempts that were sent in `span`.
    pub fn timed(&self, span: Range<Duration>) -> Timed {
        let index = |time| self.ends.partition_point(|(sent, _)| *sent < time);
        let mut timed = Timed {
            timeout: self.timeout_before(span.end),
            ..Timed::default()
        };
        let mut latencies = Vec::new();
        for (_, end) in &self.ends[index(span.start)..index(span.end)] {
            match end {
                End::Answered(took) => latencies.push(*took),
                End::Failed => timed.failed += 1,
                End::Cut => timed.cut += 1,
            }
        }
        latencies.sort_unstable();
        timed.answered = latencies.len();
        timed.p50 = percentile(&latencies, 50);
        timed.p95 = percentile(&latencies, 95);
        timed
    }

    fn timeout_before(&self, end: Duration) -> Option<Duration> {
        let known = self.limits.partition_point(|limit| limit.at < end);
        let last = known.checked_sub(1)?;
        self.limits.get(last).map(|limit| limit.what.timeout)
    }

    /// Each timeout with the time for which it stood, the last one until `end`.
    pub fn stood(&self, end: Duration) -> Vec<(Range<Duration>, Duration)> {
        let limits = spans(&self.limits, end);
        limits.map(|(span, limit)| (span, limit.timeout)).collect()
    }

    /// When it was frozen, if need be until `end`.
    pub fn frozen(&self, end: Duration) -> Vec<Range<Duration>> {
        let frozen = spans(&self.turns, end).filter(|(_, turned)| turned.turn == Turn::Frozen);
        frozen.map(|(span, _)| span).collect()
    }
}

/// Each with the time until the next, the last one with that until `end`; what began later is left out.
pub fn spans<T>(all: &[At<T>], end: Duration) -> impl Iterator<Item = (Range<Duration>, &T)> {
    let ends = all.iter().skip(1).map(|next| next.at).chain([end]);
    let each = all.iter().zip(ends);
    each.filter(move |(one, _)| one.at < end)
        .map(move |(one, until)| (one.at..until.min(end), &one.what))
}
