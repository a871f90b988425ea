//! The same for rate limits, with and without keys, for breakers and bulkheads by key, and for pairs of them with the other layers in
//! either order: plain, and under `respond`.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_bulkhead::{Bulkhead, KeyedBulkhead};
use buttress_circuit_breaker::{CircuitBreaker, KeyedCircuitBreaker};
use buttress_core::{Key, Settle, Verdict, WidenLayer};
use buttress_http::respond;
use buttress_rate_limit::{KeyedRateLimit, Permit, Rate, RateLimit};
use buttress_retry::{Backoff, Retry};
use buttress_testkit::{HammerReport, Subject, cancel_matrix, strict_contract};
use buttress_timeout::AdaptiveTimeout;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};

use super::subjects::{http_subject, plain_subject};
use super::{Failing, hammered};

/// All requests are somebody's.
#[derive(Clone, Copy)]
struct OneKey;

const KEY: u32 = 7;

impl<Req> Key<Req> for OneKey {
    type Key = u32;

    fn key(&self, _: &Req) -> Option<u32> {
        Some(KEY)
    }
}

/// Every call weighs as much.
fn three<Req>(_: &Req) -> u32 {
    3
}

/// The components under test; a subject uses some of them.
struct Handles {
    limit: RateLimit,
    limits: KeyedRateLimit<u32>,
    breaker: CircuitBreaker,
    breakers: KeyedCircuitBreaker<u32>,
    bulkhead: Bulkhead,
    bulkheads: KeyedBulkhead<u32>,
    retry: Retry,
    fixed: AdaptiveTimeout,
}

/// The slots of the bulkheads under the hammer.
const SLOTS: u32 = 3;

const HOUR: Duration = Duration::from_secs(3600);

impl Handles {
    /// One slot, breakers that are half-open for good with a place for one probe, and more units than are asked for.
    fn for_one_call() -> Self {
        let handles = Self::of(
            Rate::per_hour(1_000).burst(1_000_000),
            500,
            || {
                let builder = CircuitBreaker::builder("one-call").consecutive_failures(1);
                let builder = builder.open_for(Duration::ZERO).probes(1);
                builder.successes_to_close(u32::MAX)
            },
            || Bulkhead::builder("one-call").max_concurrent(1),
        );
        for breaker in [handles.breaker.clone(), handles.breakers.get(&KEY)] {
            breaker.try_acquire().unwrap().settle(Verdict::Failure);
        }
        handles
    }

    /// Three slots, breakers that open and close all the time, and units for a part of the calls, for which nobody waits.
    fn for_many_calls() -> Self {
        let rate = Rate::per_second(30_000).burst(2_000);
        Self::of(
            rate,
            0,
            || {
                let builder = CircuitBreaker::builder("many-calls").consecutive_failures(3);
                let builder = builder.open_for(Duration::ZERO).probes(2);
                builder.successes_to_close(2)
            },
            || {
                Bulkhead::builder("many-calls")
                    .max_concurrent(SLOTS)
                    .queue(2)
            },
        )
    }

    fn of(
        rate: Rate,
        queue: u32,
        breaker: impl Fn() -> buttress_circuit_breaker::CircuitBreakerBuilder,
        bulkhead: impl Fn() -> buttress_bulkhead::BulkheadBuilder,
    ) -> Self {
        let limit = || RateLimit::builder("limit").token_bucket(rate).queue(queue);
        Self {
            limit: limit().build(),
            limits: limit().keyed().build(),
            breaker: breaker().build(),
            breakers: breaker().keyed().build(),
            bulkhead: bulkhead().build(),
            bulkheads: bulkhead().keyed().build(),
            retry: Retry::builder("retry")
                .retries(2)
                .backoff(Backoff::constant(Duration::ZERO))
                .build(),
            fixed: AdaptiveTimeout::fixed(HOUR),
        }
    }

    /// Nothing may be held when no call is open, and there are units for the call that is made then.
    fn conserved_by<L, Req, T, E, R>(
        &self,
        subject: Subject<L, Req, T, E, R>,
    ) -> Subject<L, Req, T, E, R> {
        let line = self.limit.clone();
        let (bulkhead, breaker) = (self.bulkhead.clone(), self.breaker.clone());
        let (slots, probes) = (self.bulkheads.clone(), self.breakers.clone());
        let places = self.bulkheads.clone();
        let (limit, limits) = (self.limit.clone(), self.limits.clone());
        subject
            .conserves("places in line", move || line.snapshot().waiting as usize)
            .conserves("slots", move || bulkhead.snapshot().active_calls as usize)
            .conserves("probes", move || breaker.snapshot().probes_in_flight)
            .conserves("slots by key", move || {
                slots.get(&KEY).snapshot().active_calls as usize
            })
            .conserves("places by key", move || {
                places.get(&KEY).snapshot().queued_calls as usize
            })
            .conserves("probes by key", move || {
                probes.get(&KEY).snapshot().probes_in_flight
            })
            .before_next_call(move || {
                // A few more than the one call may weigh.
                while limit.quota().remaining < 10 || limits.quota(&KEY).remaining < 10 {
                    std::thread::yield_now();
                }
            })
    }

    /// Each component that was asked let as many in as were inside of it, refused some or let them wait, and kept its bounds.
    fn assert_all_settled(&self, report: &HammerReport) {
        let (limit, limits) = (self.limit.snapshot(), self.limits.snapshot());
        let (breaker, breakers) = (self.breaker.snapshot(), self.breakers.snapshot());
        let (bulkhead, bulkheads) = (self.bulkhead.snapshot(), self.bulkheads.snapshot());
        println!("{limit:?}\n{limits:?}\n{breaker:?}\n{breakers:?}\n{bulkhead:?}\n{bulkheads:?}");
        let ended = |success, failure, neutral| success + failure + neutral;
        let through = [
            limit.admitted_count,
            limits.admitted_count,
            ended(
                breaker.success_count,
                breaker.failure_count,
                breaker.neutral_count,
            ),
            ended(
                breakers.success_count,
                breakers.failure_count,
                breakers.neutral_count,
            ),
            ended(
                bulkhead.success_count,
                bulkhead.failure_count,
                bulkhead.neutral_count,
            ),
            ended(
                bulkheads.success_count,
                bulkheads.failure_count,
                bulkheads.neutral_count,
            ),
        ];
        let held_up = [
            limit.refused_count,
            limits.refused_count,
            breaker.refused_count,
            breakers.refused_count,
            bulkhead.rejected_calls + bulkhead.waits.count(),
            bulkheads.rejected_calls + bulkheads.waits.count(),
        ];
        let inner_calls = u64::try_from(report.inner_calls).unwrap() + 1;
        let budget = self.retry.snapshot().budget;
        let used: Vec<_> = through.into_iter().filter(|&count| count > 0).collect();
        // The innermost of those that count let through what arrived inside. What stands outside of a retry sees fewer.
        let least = used.iter().min().copied();
        let expected = if budget.total_retries > 0 && least == Some(budget.total_requests) {
            budget.total_requests
        } else {
            inner_calls
        };
        assert_eq!(least, Some(expected), "{report}");
        for (through, held_up) in through.into_iter().zip(held_up) {
            assert!(through == 0 || held_up > 0, "nobody was held up: {report}");
        }
        if through[4] + through[5] > 0 {
            assert!(report.peak_in_flight <= SLOTS as usize, "{report}");
        }
        let keys = limits
            .keys
            .max(breakers.keys as u64)
            .max(bulkheads.keys as u64);
        assert!(keys <= 1, "{keys} keys");
    }
}

macro_rules! promises {
    ($failing:ident: $($who:ident: |$handles:ident| $layers:expr;)+) => {$(
        mod $who {
            use super::*;

            // proves
            #[test]
            fn keeps_every_promise() {
                super::super::keeps_every_promise(Failing::$failing, || {
                    let $handles = Handles::for_one_call();
                    let layers = ($layers, WidenLayer);
                    $handles.conserved_by(plain_subject(layers))
                });
            }

            // proves
            #[test]
            fn keeps_every_promise_under_respond() {
                super::super::keeps_every_promise(Failing::$failing, || {
                    let $handles = Handles::for_one_call();
                    let layers = respond($layers);
                    $handles.conserved_by(http_subject(layers))
                });
            }

            // proves, PB-1
            #[test]
            fn loses_nothing_under_the_hammer() {
                let $handles = Handles::for_many_calls();
                let layers = ($layers, WidenLayer);
                let report = hammered($handles.conserved_by(plain_subject(layers)));
                $handles.assert_all_settled(&report);
            }
        }
    )+};
}

promises! {
    Ends:
    a_weighted_rate_limit: |handles| handles.limit.layer().cost(three);
    a_rate_limit_by_key: |handles| handles.limits.by(OneKey);
    a_line: |handles| handles.limit.waiting_layer();
    a_queue_by_key: |handles| handles.bulkheads.by(OneKey);
    a_rate_limit_over_a_breaker: |handles| (handles.limit.layer(), handles.breaker.layer());
    a_line_over_a_timeout: |handles| (handles.limit.waiting_layer(), handles.fixed.layer());
    a_line_over_a_queue: |handles| (handles.limit.waiting_layer(), handles.bulkhead.layer());
    all_by_key: |handles| (handles.limits.by(OneKey), handles.bulkheads.by(OneKey), handles.breakers.by(OneKey));
}

promises! {
    GoesOn:
    a_retry_over_a_rate_limit: |handles| (handles.retry.layer(), handles.limit.layer());
}

// === Calls that do wait in line ===

/// Units that were taken before, each to be given back when a call is to have it.
type Purse = Arc<Mutex<Vec<Permit>>>;

/// Lets each call find a limit spent, and pays for it after so many polls of the call: with none before the first, in which the call
/// takes its unit then.
#[derive(Clone)]
struct SpentLayer {
    limit: RateLimit,
    purse: Purse,
    polls: u32,
}

impl SpentLayer {
    fn new(limit: &RateLimit, polls: u32) -> Self {
        let layer = Self {
            limit: limit.clone(),
            purse: Purse::default(),
            polls,
        };
        layer.spend();
        layer
    }

    /// Takes what is there: all of it at first, and later what a call was paid that it never took.
    fn spend(&self) {
        while let Ok(permit) = self.limit.try_acquire() {
            self.purse.lock().unwrap().push(permit);
        }
    }

    fn pay(&self) {
        let permit = self.purse.lock().unwrap().pop();
        permit.expect("units were lost").give_back();
    }
}

impl<S> Layer<S> for SpentLayer {
    type Service = Spent<S>;

    fn layer(&self, inner: S) -> Spent<S> {
        let layer = self.clone();
        Spent { inner, layer }
    }
}

#[derive(Clone)]
struct Spent<S> {
    inner: S,
    layer: SpentLayer,
}

impl<S: Service<Req>, Req> Service<Req> for Spent<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = SpentFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.layer.spend();
        SpentFuture {
            inner: Box::pin(self.inner.call(request)),
            unpaid: Some(self.layer.clone()),
            polls: self.layer.polls,
        }
    }
}

struct SpentFuture<F> {
    inner: Pin<Box<F>>,
    unpaid: Option<SpentLayer>,
    polls: u32,
}

impl<F: Future> Future for SpentFuture<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.polls == 0
            && let Some(limit) = self.unpaid.take()
        {
            limit.pay();
        }
        let polled = self.inner.as_mut().poll(cx);
        if let Some(left) = self.polls.checked_sub(1) {
            assert!(polled.is_pending(), "it did not wait for its turn");
            self.polls = left;
            if left > 0 {
                cx.waker().wake_by_ref();
            } else if let Some(limit) = self.unpaid.take() {
                limit.pay();
            }
        }
        polled
    }
}

/// Where timers can be made; its time stands still.
fn still_time() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// A hundred units, all spent, and what stands before and behind the line of those that wait for them.
struct Line {
    limit: RateLimit,
    handles: Handles,
}

impl Line {
    fn new() -> Self {
        let rate = Rate::per_hour(1).burst(100);
        let builder = RateLimit::builder("line").token_bucket(rate);
        Self {
            limit: builder.max_wait(Duration::MAX).build(),
            handles: Handles::for_one_call(),
        }
    }

    fn conserved_by<L>(&self, subject: Subject<L>) -> Subject<L> {
        let line = self.limit.clone();
        let subject = self.handles.conserved_by(subject);
        subject.conserves("places", move || line.snapshot().waiting as usize)
    }
}

/// A drop at every point of a call that waits.
macro_rules! waiting {
    ($($who:ident: |$line:ident| $layers:expr;)+) => {$(
        // proves, RL-4
        #[test]
        fn $who() {
            let runtime = still_time();
            let _time = runtime.enter();
            for polls in [0, 1, 2] {
                let fixture = || {
                    let $line = Line::new();
                    let layers = (SpentLayer::new(&$line.limit, polls), $layers, WidenLayer);
                    $line.conserved_by(plain_subject(layers))
                };
                if polls == 0 {
                    strict_contract(&fixture);
                }
                let report = cancel_matrix(&fixture);
                let ways = report.endings;
                assert!(ways.answered > 0 && ways.failed > 0 && ways.panicked > 0, "{report}");
                assert!(ways.dropped_unpolled > 0 && ways.dropped_running > 0, "{report}");
                assert_eq!(ways.refused, 0, "{report}");
            }
        }
    )+};
}

waiting! {
    a_call_dropped_in_line_leaves_nothing_there: |line| line.limit.waiting_layer();
    a_call_dropped_in_line_under_a_breaker_leaves_nothing: |line| (line.handles.breaker.layer(), line.limit.waiting_layer());
    a_call_dropped_in_line_over_a_queue_leaves_nothing: |line| (line.limit.waiting_layer(), line.handles.bulkhead.layer());
}
