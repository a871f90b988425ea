//! The contract of tower's services, a drop at every point of a call, and a million calls at random: for each layer alone, and
//! for pairs of them in either order.

mod fallback;
mod rates;
mod subjects;
mod waiting;

use std::task::Poll;

use buttress_circuit_breaker::State;
use buttress_core::{Settle, Verdict, WidenLayer};
use buttress_http::{HttpExt, respond, respond_grpc};
use buttress_testkit::{
    Ending, Hammer, HammerReport, Probe, Script, Testable, cancel_matrix, deep, drop_at_every_poll,
    strict_contract,
};
use tokio::runtime::Builder;
use tower::{Layer, Service, ServiceExt};

use subjects::{Handles, http_subject, plain_subject};

/// What becomes of a call that fails.
#[derive(PartialEq)]
enum Failing {
    Ends,
    /// It is sent again: within the polls that one attempt takes it never ends, and is dropped in the next.
    GoesOn,
}

/// The contract, and a drop at every point.
fn keeps_every_promise<X: Testable<Service: Clone>>(failing: Failing, fixture: impl Fn() -> X) {
    // Whoever limits time needs a timer.
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _time = runtime.enter();
    strict_contract(&fixture);
    let report = cancel_matrix(&fixture);
    let ways = report.endings;
    assert!(ways.answered > 0 && ways.panicked > 0, "{report}");
    assert_eq!(ways.failed > 0, failing == Failing::Ends, "{report}");
    assert!(
        ways.dropped_unpolled > 0 && ways.dropped_running > 0,
        "{report}"
    );
    assert_eq!(ways.refused, 0, "{report}");
}

/// A million calls with random ends when tests run deep, else 20 000.
fn hammered<X: Testable<Service: Clone + Send> + Sync>(subject: X) -> HammerReport {
    // Whoever waits needs a timer.
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_time().build().unwrap();
    let time = runtime.handle().clone();
    let hammer = Hammer::new(deep(20_000, 1_000_000)).within(move |work| {
        let _time = time.enter();
        work();
    });
    // A few more callers on each thread than there are slots: with many more, most calls are only refused.
    hammer.tasks(8).run(subject)
}

macro_rules! promises {
    ($failing:ident: $($who:ident: |$handles:ident| $layers:expr;)+) => {$(
        mod $who {
            use super::*;

            /// The layers around calls of this kind, with a place for one call only.
            macro_rules! narrow {
                ($subject:ident, |$plain:ident| $adopted:expr) => {
                    || {
                        let $handles = Handles::for_one_call();
                        let $plain = $layers;
                        $handles.conserved_by($subject($adopted))
                    }
                };
            }

            // proves
            #[test]
            fn keeps_every_promise() {
                super::keeps_every_promise(Failing::$failing, narrow!(plain_subject, |layers| (layers, WidenLayer)));
            }

            // proves
            #[test]
            fn keeps_every_promise_over_http() {
                super::keeps_every_promise(Failing::$failing, narrow!(http_subject, |layers| (layers.http(), WidenLayer)));
            }

            // proves
            #[test]
            fn keeps_every_promise_over_http_until_headers() {
                super::keeps_every_promise(Failing::$failing, narrow!(
                    http_subject,
                    |layers| (layers.http().until_headers(), WidenLayer)
                ));
            }

            // Nothing in a gRPC request says that it may be sent again.
            // proves
            #[test]
            fn keeps_every_promise_over_grpc() {
                super::keeps_every_promise(Failing::Ends, narrow!(http_subject, |layers| (layers.grpc(), WidenLayer)));
            }

            // proves
            #[test]
            fn keeps_every_promise_under_respond() {
                super::keeps_every_promise(Failing::$failing, narrow!(http_subject, |layers| respond(layers)));
                super::keeps_every_promise(Failing::Ends, narrow!(http_subject, |layers| respond_grpc(layers)));
            }

            // proves, PB-1
            #[test]
            fn loses_nothing_under_the_hammer() {
                let $handles = Handles::for_many_calls();
                let subject = $handles.conserved_by(plain_subject(($layers, WidenLayer)));
                let report = hammered(subject);
                $handles.assert_all_settled(&report, report.peak_in_flight);
            }

            // proves, PB-1
            #[test]
            fn loses_nothing_over_http_under_the_hammer() {
                let $handles = Handles::for_many_calls();
                let subject = $handles.conserved_by(http_subject(($layers.http(), WidenLayer)));
                let report = hammered(subject);
                $handles.assert_all_settled(&report, report.peak_open);
            }
        }
    )+};
}

promises! {
    Ends:
    a_bulkhead: |handles| handles.bulkhead.refusing_layer();
    a_breaker: |handles| handles.breaker.layer();
    a_bulkhead_over_a_breaker: |handles| (handles.bulkhead.refusing_layer(), handles.breaker.layer());
    a_breaker_over_a_bulkhead: |handles| (handles.breaker.layer(), handles.bulkhead.refusing_layer());
    a_queue: |handles| handles.queue();
    a_queue_over_a_breaker: |handles| (handles.queue(), handles.breaker.layer());
    a_breaker_over_a_queue: |handles| (handles.breaker.layer(), handles.queue());
    a_timeout: |handles| handles.alone(handles.timeout.layer());
    a_fixed_timeout: |handles| handles.alone(handles.fixed.layer());
    a_fixed_timeout_over_a_timeout: |handles| handles.alone((handles.fixed.layer(), handles.timeout.layer()));
    a_timeout_over_a_breaker: |handles| (handles.timeout.layer(), handles.breaker.layer());
    a_breaker_over_a_timeout: |handles| (handles.breaker.layer(), handles.timeout.layer());
    a_bulkhead_over_a_timeout: |handles| (handles.bulkhead.refusing_layer(), handles.timeout.layer());
    a_timeout_over_a_bulkhead: |handles| (handles.timeout.layer(), handles.bulkhead.refusing_layer());
    a_timeout_over_a_queue: |handles| (handles.fixed.layer(), handles.queue());
    a_queue_over_a_timeout: |handles| (handles.queue(), handles.timeout.layer());
}

promises! {
    GoesOn:
    a_retry_over_a_timeout: |handles| (handles.retry.layer(), handles.timeout.layer());
    a_timeout_over_a_retry: |handles| (handles.fixed.layer(), handles.retry.layer());
    a_retry: |handles| handles.retry.layer();
    a_retry_over_a_breaker: |handles| (handles.retry.layer(), handles.breaker.layer());
    a_retry_over_a_bulkhead: |handles| (handles.retry.layer(), handles.bulkhead.refusing_layer());
    a_retry_over_a_queue: |handles| (handles.retry.layer(), handles.queue());
    a_bulkhead_over_a_retry: |handles| (handles.bulkhead.refusing_layer(), handles.retry_inside());
    a_breaker_over_a_retry: |handles| (handles.breaker.layer(), handles.retry_inside());
}

// proves: A-1
#[test]
fn a_future_behind_handles_frees_what_it_holds_at_every_poll() {
    for ending in Ending::ALL {
        let times = drop_at_every_poll(|| {
            let handles = Handles::for_one_call();
            let probe = Probe::new(Script::new(ending).suspensions(3));
            let (bulkhead, breaker) = (handles.bulkhead.clone(), handles.breaker.clone());
            let call = async move { bulkhead.run(breaker.run(probe.oneshot(()))).await.is_ok() };
            (call, move |polls| {
                let held = (handles.slots_taken(), handles.probes_in_flight());
                assert_eq!(held, (0, 0), "{ending}, after {polls} polls");
            })
        });
        assert!(times > 1, "{ending}");
    }
}

// proves: A-3
#[test]
fn ten_thousand_readied_services_hold_nothing() {
    let handles = Handles::for_one_call();
    let layers = (
        handles.bulkhead.refusing_layer(),
        handles.breaker.layer(),
        WidenLayer,
    );
    let service = layers.layer(Probe::new(Script::default()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut readied: Vec<_> = (0..10_000).map(|_| service.clone()).collect();
    for service in &mut readied {
        assert!(Service::<()>::poll_ready(service, &mut cx).is_ready());
    }
    assert_eq!((handles.slots_taken(), handles.probes_in_flight()), (0, 0));
    let mut call = std::pin::pin!(readied[5_000].call(()));
    assert!(matches!(call.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
}

/// A round of probes ends with the first failure; those of its probes that are still out belong to nobody.
#[test]
fn a_probe_that_outlives_its_round_is_not_counted_as_in_flight_for_ever() {
    let handles = Handles::for_many_calls();
    for _ in 0..3 {
        handles
            .breaker
            .try_acquire()
            .unwrap()
            .settle(Verdict::Failure);
    }
    let (first, second) = (
        handles.breaker.try_acquire().unwrap(),
        handles.breaker.try_acquire().unwrap(),
    );
    assert_eq!(
        (handles.breaker.snapshot().state, handles.probes_in_flight()),
        (State::HalfOpen, 2)
    );
    first.settle(Verdict::Failure);
    assert_eq!(handles.breaker.snapshot().state, State::Open);
    drop(second);
    assert_eq!(handles.probes_in_flight(), 0);
}
