//! What a breaker sees of calls that are cut, and whose fault that is: on paused time.

use std::time::Duration;

use buttress_circuit_breaker::{CircuitBreaker, State, Window};
use buttress_core::{Deadline, Reason, WidenLayer};
use buttress_http::HttpExt;
use buttress_timeout::AdaptiveTimeout;
use http::Request;
use tokio::time::Instant;
use tower::{Layer, service_fn};

use super::script::{Script, a_second_each, read};
use super::{MS, SECOND};
use crate::support::Counts;

fn hanging() -> Script {
    Script {
        head: 3600 * SECOND,
        ..a_second_each()
    }
}

/// Three calls, one after the other, through these layers.
macro_rules! thrice {
    ($layers:expr, $script:expr, $deadline:expr) => {{
        let script: Script = $script;
        let service = service_fn(move |request: Request<()>| script.clone().play(request));
        let service = ($layers, WidenLayer).layer(service);
        for _ in 0..3 {
            let mut request = Request::new(());
            let deadline: Option<Duration> = $deadline;
            if let Some(wait) = deadline {
                request
                    .extensions_mut()
                    .insert(Deadline::after(Instant::now(), wait));
            }
            read(service.clone(), request).await;
        }
    }};
}

fn counts(breaker: &CircuitBreaker) -> Counts {
    let seen = breaker.snapshot();
    Counts::of(seen.success_count, seen.failure_count, seen.neutral_count)
}

#[tokio::test(start_paused = true)]
async fn a_breaker_outside_of_a_timeout_opens_over_a_service_that_hangs_and_one_inside_only_by_slow_calls()
 {
    for is_outside in [true, false] {
        for detects_slow in [true, false] {
            for fixed in [true, false] {
                let builder = AdaptiveTimeout::builder("attempt").total(100 * MS);
                let timeout = if fixed { builder.fixed() } else { builder }
                    .build()
                    .layer();
                let builder = CircuitBreaker::builder("hangs").consecutive_failures(3);
                let breaker = if detects_slow {
                    builder
                        .slow_calls(50 * MS, 1.0, Window::calls(3))
                        .minimum_calls(3)
                } else {
                    builder
                };
                let breaker = breaker.build();
                if is_outside {
                    thrice!((breaker.layer(), timeout).http(), hanging(), None);
                    assert_eq!(counts(&breaker), Counts::of(0, 3, 0));
                } else {
                    thrice!((timeout, breaker.layer()).http(), hanging(), None);
                }
                let opens = is_outside || detects_slow;
                let state = if opens { State::Open } else { State::Closed };
                assert_eq!(
                    breaker.snapshot().state,
                    state,
                    "outside: {is_outside}, slow: {detects_slow}"
                );
            }
        }
    }
}

/// The total is ours as well, though the attempt meets it as a deadline.
#[tokio::test(start_paused = true)]
async fn a_breaker_between_a_total_and_an_attempt_counts_what_hangs_until_the_total() {
    for own in [100 * MS, SECOND, 60 * SECOND] {
        let total = AdaptiveTimeout::fixed(SECOND).layer();
        let attempt = AdaptiveTimeout::builder("attempt").total(own).build();
        let breaker = CircuitBreaker::builder("between")
            .consecutive_failures(3)
            .build();
        let layers = (total, breaker.layer(), attempt.layer()).http();
        thrice!(layers, hanging(), None);
        assert_eq!(counts(&breaker), Counts::of(0, 3, 0), "{own:?}");
    }
}

/// Wherever it cuts, and on whichever side of the breaker.
#[tokio::test(start_paused = true)]
async fn a_callers_deadline_moves_no_breaker_and_our_own_limits_do() {
    let grpc = || {
        a_second_each()
            .header("content-type", "application/grpc")
            .trailer("grpc-status", "0")
    };
    let failing = || Script {
        status: 500,
        pieces: vec![],
        end: Some(SECOND),
        ..a_second_each()
    };
    let unlimited = || {
        AdaptiveTimeout::builder("body")
            .no_total()
            .read(Duration::MAX)
    };
    let neutral = Counts::of(0, 0, 3);
    for (what, left, idle, over_http, over_grpc) in [
        ("before the head", Some(500 * MS), None, neutral, neutral),
        ("in the body", Some(2500 * MS), None, neutral, neutral),
        (
            "by idle",
            None,
            Some(100 * MS),
            Counts::of(0, 3, 0),
            Counts::of(0, 3, 0),
        ),
        (
            "not at all",
            Some(5 * SECOND),
            None,
            Counts::of(3, 0, 0),
            Counts::of(3, 0, 0),
        ),
    ] {
        let breaker = || {
            CircuitBreaker::builder("moved")
                .consecutive_failures(3)
                .build()
        };
        let timeout = || {
            let builder = unlimited().fixed();
            idle.map_or(builder, |idle| unlimited().idle(idle))
                .build()
                .layer()
        };
        let http = breaker();
        thrice!((http.layer(), timeout()).http(), a_second_each(), left);
        assert_eq!(counts(&http), over_http, "{what}");
        let rpc = breaker();
        thrice!((rpc.layer(), timeout()).grpc(), grpc(), left);
        assert_eq!(counts(&rpc), over_grpc, "{what}, over gRPC");
        let opens = over_http.failure > 0;
        let state = if opens { State::Open } else { State::Closed };
        assert_eq!(
            (http.snapshot().state, rpc.snapshot().state),
            (state, state),
            "{what}"
        );
    }
    // A service that knows the deadline, too, and answers 500 in that moment.
    let breaker = CircuitBreaker::builder("moved")
        .consecutive_failures(3)
        .build();
    let timeout = unlimited().fixed().build().layer();
    thrice!((breaker.layer(), timeout).http(), failing(), Some(SECOND));
    assert_eq!(counts(&breaker), neutral);
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_cut_says_whose_limit_it_was() {
    let timeout = AdaptiveTimeout::fixed(SECOND / 2);
    for (left, reason) in [
        (None, Reason::TimedOut),
        (Some(100 * MS), Reason::DeadlineExceeded),
    ] {
        let script = hanging();
        let service = service_fn(move |request: Request<()>| script.clone().play(request));
        let service = (timeout.layer().http(), WidenLayer).layer(service);
        let mut request = Request::new(());
        left.map(|left| {
            request
                .extensions_mut()
                .insert(Deadline::after(Instant::now(), left))
        });
        let seen = read(service, request).await;
        assert_eq!(seen.cut, Some(reason));
    }
}
