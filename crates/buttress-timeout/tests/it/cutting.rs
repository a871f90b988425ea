//! When a call is cut, and what is left of it then.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use buttress_core::{Error, Name, Reason, Rejected, WidenLayer};
use buttress_testkit::{Ending, Probe, Readiness, Script};
use buttress_timeout::{AdaptiveTimeout, AdaptiveTimeoutLayer};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{MS, SECOND, both};

const LIMITS: [Duration; 5] = [
    MS,
    Duration::from_millis(17),
    SECOND,
    Duration::from_secs(59),
    Duration::from_secs(30 * 24 * 3600),
];

/// The refusal of a call, which must be one.
#[expect(
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "only tests call it"
)]
pub(crate) fn refusal<T, E>(result: Result<T, Error<E>>) -> Rejected {
    match result {
        Err(Error::Rejected(rejected)) => rejected,
        _ => panic!("it was not refused"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_cut_exactly_at_the_limit() {
    for limit in LIMITS {
        for timeout in both(limit) {
            let hanging = Probe::new(Script::new(Ending::Hang));
            let service = (timeout.layer(), WidenLayer).layer(hanging);
            let started = Instant::now();
            let rejected = refusal(service.oneshot(()).await);
            assert_eq!(started.elapsed(), limit, "{timeout:?}");
            assert_eq!(rejected.reason(), Reason::TimedOut);
            assert_eq!(rejected.component(), timeout.name());
            assert_eq!(timeout.snapshot().timed_out, 1);
            assert_eq!(timeout.snapshot().deadline_exceeded, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_that_hangs_is_cut_exactly_at_the_limit() {
    for limit in LIMITS {
        for timeout in both(limit) {
            let started = Instant::now();
            let call = timeout.run(pending::<Result<(), std::fmt::Error>>());
            let rejected = refusal(call.await);
            assert_eq!(
                (started.elapsed(), rejected.reason()),
                (limit, Reason::TimedOut)
            );
        }
    }
}

/// Whatever else wakes it meanwhile.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_polled_all_the_time_is_cut_no_later() {
    for timeout in both(SECOND) {
        let restless = service_fn(|()| async {
            loop {
                sleep(7 * MS).await;
            }
            #[expect(unreachable_code, reason = "says what it would be")]
            Ok::<(), Error<std::fmt::Error>>(())
        });
        let started = Instant::now();
        refusal(timeout.layer().layer(restless).oneshot(()).await);
        assert_eq!(started.elapsed(), SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_in_time_comes_through_at_its_time() {
    for timeout in both(SECOND) {
        for takes in [Duration::ZERO, MS, SECOND - MS, SECOND] {
            // Ready in the very moment of the limit is in time.
            let slow = service_fn(move |n: u32| async move {
                sleep(takes).await;
                Ok::<_, Error<std::fmt::Error>>(n)
            });
            let started = Instant::now();
            let answer = timeout.layer().layer(slow).oneshot(42).await;
            assert_eq!((answer, started.elapsed()), (Ok(42), takes));
        }
        assert_eq!(timeout.snapshot().timed_out, 0);
    }
}

/// The future of the call is still there when its result is looked at.
// proves: AT-6
#[tokio::test(start_paused = true)]
async fn at_the_timeout_nothing_of_the_call_lives_any_more() {
    for timeout in both(SECOND) {
        let probe = Probe::new(Script::new(Ending::Hang));
        let controls = probe.controls();
        let mut service = (timeout.layer(), WidenLayer).layer(probe);
        let mut call = pin!(
            ServiceExt::<()>::ready(&mut service)
                .await
                .unwrap()
                .call(())
        );
        let refused = poll_fn(|cx| {
            let polled = call.as_mut().poll(cx);
            let lives = controls.counts().live_futures;
            assert_eq!(lives, usize::from(polled.is_pending()), "in the same poll");
            polled
        });
        refusal(refused.await);
        assert_eq!(controls.counts().dropped_futures, 1);
        // And nothing comes after that.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        sleep(5 * SECOND).await;
        assert!(call.as_mut().poll(&mut cx).is_pending());
        assert_eq!(timeout.snapshot().timed_out, 1);
    }
}

// proves: AT-6
#[tokio::test(start_paused = true)]
async fn at_the_timeout_nothing_of_a_future_lives_any_more() {
    for timeout in both(SECOND) {
        let probe = Probe::new(Script::new(Ending::Hang));
        let controls = probe.controls();
        let mut call = pin!(timeout.run(probe.oneshot(())));
        refusal(call.as_mut().await);
        assert_eq!(controls.counts().live_futures, 0);
        let _still_there = call.as_mut();
    }
}

/// No runtime is needed, let alone its timer: in a runtime without one, a wait for time panics.
#[test]
fn what_is_ready_at_once_makes_no_timer() {
    let without_time = Builder::new_current_thread().build().unwrap();
    for timeout in both(SECOND) {
        let mut service = (timeout.layer(), WidenLayer).layer(Probe::new(Script::default()));
        without_time
            .block_on(ServiceExt::<()>::ready(&mut service))
            .unwrap();
        let mut call = pin!(service.call(()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(call.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
        let call = timeout.run(async { Ok::<_, std::fmt::Error>(1) });
        assert_eq!(without_time.block_on(call).unwrap(), 1);
    }
}

/// Tokio lets a task poll so much at once, and then pretends that nothing is ready, timers included.
#[test]
fn a_call_that_is_always_busy_is_cut_too() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    for timeout in both(20 * MS) {
        let busy = async {
            let patience = Instant::now() + 5 * SECOND;
            while Instant::now() < patience {
                tokio::task::coop::consume_budget().await;
            }
            Ok::<_, std::fmt::Error>(())
        };
        let result =
            runtime.block_on(async { tokio::spawn(async move { timeout.run(busy).await }).await });
        assert_eq!(refusal(result.unwrap()).reason(), Reason::TimedOut);
    }
}

/// `poll_ready` is waited for in `ready()`, where no time is limited.
#[tokio::test(start_paused = true)]
async fn readiness_is_passed_on_and_not_limited() {
    for timeout in both(SECOND) {
        let probe = Probe::new(Script::default().readiness(Readiness::After(3)));
        let controls = probe.controls();
        let mut service = (timeout.layer(), WidenLayer).layer(probe);
        ServiceExt::<()>::ready(&mut service).await.unwrap();
        assert_eq!(controls.counts().readiness_polls, 4);
        sleep(10 * SECOND).await;
        service.call(()).await.unwrap();

        let never = Probe::new(Script::default().readiness(Readiness::Never));
        let mut service = (timeout.layer(), WidenLayer).layer(never);
        let ready = tokio::time::timeout(100 * SECOND, ServiceExt::<()>::ready(&mut service)).await;
        assert!(
            ready.is_err(),
            "it is still not ready, and nobody has given up"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_limits_are_safe() {
    let hang = || pending::<Result<(), std::fmt::Error>>();
    let endless = AdaptiveTimeout::builder("endless")
        .total(Duration::MAX)
        .head(Duration::MAX);
    let endless = endless.idle(Duration::MAX).ceiling(Duration::MAX);
    for timeout in [
        endless.build(),
        AdaptiveTimeout::fixed(Duration::MAX),
        AdaptiveTimeout::builder("none")
            .no_total()
            .head(Duration::MAX)
            .fixed()
            .build(),
        AdaptiveTimeout::builder("floor")
            .floor(Duration::MAX)
            .total(Duration::MAX)
            .build(),
        AdaptiveTimeout::builder("factor")
            .factor(f64::MAX)
            .total(Duration::MAX)
            .build(),
    ] {
        let patient = tokio::time::timeout(400 * 24 * 3600 * SECOND, timeout.run(hang()));
        assert!(patient.await.is_err(), "{timeout:?}");
        for took in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            for _ in 0..200 {
                timeout.record(took);
                timeout.record_unfinished(took);
            }
        }
        let _ = timeout.snapshot();
        timeout
            .run(async { Ok::<_, std::fmt::Error>(()) })
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_shortest_limits_are_safe() {
    let shortest = || AdaptiveTimeout::builder("short").total(Duration::from_nanos(1));
    for timeout in [
        shortest().fixed().build(),
        shortest().floor(Duration::ZERO).build(),
    ] {
        timeout
            .run(async { Ok::<_, std::fmt::Error>(()) })
            .await
            .unwrap();
        let started = Instant::now();
        refusal(timeout.run(pending::<Result<(), std::fmt::Error>>()).await);
        assert!(started.elapsed() <= MS, "as near as the clock can");
    }
}

#[tokio::test(start_paused = true)]
async fn layers_of_one_handle_are_one_and_those_made_by_themselves_are_not() {
    let timeout = AdaptiveTimeout::builder("shared").total(SECOND).build();
    let (left, right) = (timeout.layer(), timeout.clone().layer());
    let sleepy = |takes: Duration| {
        service_fn(move |()| async move {
            sleep(takes).await;
            Ok::<(), Error<std::fmt::Error>>(())
        })
    };
    let (left, right) = (left.layer(sleepy(20 * MS)), right.layer(sleepy(40 * MS)));
    for _ in 0..60 {
        left.clone().oneshot(()).await.unwrap();
        right.clone().oneshot(()).await.unwrap();
    }
    let seen = timeout.snapshot();
    assert_eq!(seen.samples, 120);
    assert!(
        (55 * MS..65 * MS).contains(&seen.current_timeout),
        "{seen:?}"
    );

    let (one, other) = (AdaptiveTimeoutLayer::new(), AdaptiveTimeoutLayer::new());
    one.layer(sleepy(MS)).oneshot(()).await.unwrap();
    assert_eq!(one.timeout().snapshot().samples, 1);
    assert_eq!(other.timeout().snapshot().samples, 0);
    let fixed = AdaptiveTimeoutLayer::fixed(20 * MS);
    refusal(fixed.layer(sleepy(SECOND)).oneshot(()).await);
    assert_eq!(fixed.clone().timeout().snapshot().timed_out, 1);
    assert_eq!(fixed.timeout().name(), Name::new("timeout"));
}
