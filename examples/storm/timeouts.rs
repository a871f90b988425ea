//! What the timeouts of the protected gateway were, and what the attempts took that they learned from.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::figures::percentile;
use crate::report::millis;
use crate::stage::{PerUpstream, Upstream};

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

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn history() -> History {
        let limit = |at, timeout| At {
            at: ms(at),
            what: Limit {
                timeout: ms(timeout),
            },
        };
        let turned = |at, turn| At {
            at: ms(at),
            what: Turned { turn },
        };
        History {
            limits: vec![limit(0, 500), limit(100, 150), limit(900, 300)],
            turns: vec![turned(300, Turn::Frozen), turned(700, Turn::Resumed)],
            ends: vec![
                (ms(50), End::Answered(ms(20))),
                (ms(60), End::Answered(ms(10))),
                (ms(99), End::Cut),
                (ms(100), End::Failed),
            ],
        }
    }

    #[test]
    fn an_attempt_belongs_to_the_span_in_which_it_was_sent() {
        let timed = history().timed(ms(0)..ms(100));
        let expected = Timed {
            answered: 2,
            failed: 0,
            cut: 1,
            p50: Some(ms(10)),
            p95: Some(ms(20)),
            timeout: Some(ms(500)),
        };
        assert_eq!((timed, timed.all()), (expected, 3));
        assert_eq!(history().timed(ms(100)..ms(200)).failed, 1);
    }

    #[test]
    fn a_timeout_stands_until_the_next_and_the_last_until_the_end() {
        let stood = history().stood(ms(1_000));
        let expected = [(0..100, 500), (100..900, 150), (900..1_000, 300)];
        let expected = expected.map(|(span, timeout)| (ms(span.start)..ms(span.end), ms(timeout)));
        assert_eq!(stood, expected);
        assert_eq!(history().stood(ms(500)).len(), 2);
        assert_eq!(History::default().timed(ms(0)..ms(100)), Timed::default());
    }

    #[test]
    fn it_is_frozen_until_it_learns_again_or_the_run_is_over() {
        assert_eq!(history().frozen(ms(1_000)), [ms(300)..ms(700)]);
        assert_eq!(history().frozen(ms(500)), [ms(300)..ms(500)]);
        assert_eq!(history().frozen(ms(300)), []);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_dropped_was_cut() {
        let (timings, start) = (Timings::default(), Instant::now());
        let answer = |after| {
            let answer = async move {
                tokio::time::sleep(ms(after)).await;
                if after < 20 { Ok(()) } else { Err(()) }
            };
            timings.clone().time(Upstream::Payments, answer)
        };
        let limit = |after| tokio::time::timeout(ms(50), answer(after));
        let ended = tokio::join!(limit(60), limit(15), limit(25));
        assert!(ended.0.is_err() && ended.1.is_ok() && ended.2.is_ok());
        let timed = timings.since(start).payments.timed(ms(0)..ms(1));
        assert_eq!((timed.answered, timed.failed, timed.cut), (1, 1, 1));
        assert_eq!(timed.p50, Some(ms(15)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_noted_is_told_apart_by_upstream_and_only_news_of_a_timeout_is_kept() {
        let (timings, start) = (Timings::default(), Instant::now());
        for timeout in [500, 500, 150] {
            tokio::time::sleep(ms(10)).await;
            timings.allow(Upstream::Payments, ms(timeout));
        }
        let answer = async {
            tokio::time::sleep(ms(15)).await;
            Ok::<_, ()>(())
        };
        timings
            .clone()
            .time(Upstream::Payments, answer)
            .await
            .unwrap();
        let PerUpstream {
            inventory,
            payments,
        } = timings.since(start);
        assert!(inventory.limits.is_empty() && inventory.ends.is_empty());
        assert_eq!(payments.stood(ms(50)).len(), 2);
        assert_eq!(payments.ends, [(ms(30), End::Answered(ms(15)))]);
    }

    #[test]
    fn programs_read_times_beside_what_was_so_from_then_on() {
        let json = serde_json::to_string(&history()).unwrap();
        assert!(
            json.contains(r#"{"at_ms":100.0,"timeout_ms":150.0}"#)
                && json.contains(r#"{"at_ms":300.0,"turn":"frozen"}"#),
            "{json}"
        );
    }
}
