//! How a call ends, and what is learned from it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};
use std::time::Duration;

use buttress_core::{Error, Name, Reason, Rejected, Verdict, WidenLayer, by};
use buttress_testkit::{
    Ending, Live, Probe, ProbeError, Script, Subject, cancel_matrix, strict_contract,
};
use buttress_timeout::{AdaptiveTimeout, AdaptiveTimeoutLayer};
use tokio::runtime::Builder;
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{MS, SECOND};

fn learning() -> AdaptiveTimeout {
    AdaptiveTimeout::builder("learning").min_samples(1).build()
}

/// How many samples there are, and whether half of the calls are known to have completed.
fn samples(timeout: &AdaptiveTimeout) -> (u64, bool) {
    let seen = timeout.snapshot();
    (seen.samples, seen.p50.is_some())
}

const NOTHING: (u64, bool) = (0, false);
const COMPLETED: (u64, bool) = (1, true);
const UNFINISHED: (u64, bool) = (1, false);

#[tokio::test(start_paused = true)]
async fn each_end_of_a_call_is_learned_from_as_the_readme_says() {
    type Answer = Result<u32, Error<fmt::Error>>;
    let refused = |reason| Err(Error::Rejected(Rejected::new(reason, Name::new("inner"))));
    for (answer, learned) in [
        (Ok(1), COMPLETED),
        (Err(Error::Inner(fmt::Error)), NOTHING),
        (refused(Reason::TimedOut), NOTHING),
        (refused(Reason::Overloaded), NOTHING),
        (refused(Reason::Unavailable), NOTHING),
        (refused(Reason::Throttled), NOTHING),
        (refused(Reason::DeadlineExceeded), NOTHING),
        (refused(Reason::Conflict), NOTHING),
    ] {
        let timeout = learning();
        let service = service_fn(move |()| async move {
            sleep(MS).await;
            answer
        });
        let got: Answer = timeout.layer().layer(service).oneshot(()).await;
        assert_eq!((got, samples(&timeout)), (answer, learned));
    }
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_ones_own_says_what_is_learned_from() {
    for (verdict, learned) in [
        (Verdict::Success, COMPLETED),
        (Verdict::Failure, NOTHING),
        (Verdict::Overloaded { retry_after: None }, NOTHING),
        (Verdict::Throttled { retry_after: None }, NOTHING),
        (Verdict::Neutral, NOTHING),
    ] {
        for is_ok in [true, false] {
            let timeout = learning();
            let judge = by(move |_: Result<&u32, &Error<fmt::Error>>| verdict);
            let answer = if is_ok {
                Ok(1)
            } else {
                Err(Error::Inner(fmt::Error))
            };
            let service = service_fn(move |()| std::future::ready(answer));
            let got = timeout
                .layer()
                .classify(judge)
                .layer(service)
                .oneshot(())
                .await;
            assert_eq!((got, samples(&timeout)), (answer, learned), "{verdict:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_or_dropped_would_have_taken_at_least_so_long() {
    let cut = AdaptiveTimeout::builder("cut").total(SECOND).build();
    let hanging = || (WidenLayer).layer(Probe::new(Script::new(Ending::Hang)));
    cut.layer().layer(hanging()).oneshot(()).await.unwrap_err();
    assert_eq!(samples(&cut), UNFINISHED);

    // Who leaves before half of the timeout has shown nothing about it.
    for (polls, wait, learned) in [
        (0, 50 * MS, UNFINISHED),
        (1, Duration::ZERO, NOTHING),
        (1, 49 * MS, NOTHING),
        (1, 90 * MS, UNFINISHED),
    ] {
        let dropped = AdaptiveTimeout::builder("dropped").total(100 * MS);
        let dropped = dropped.min_samples(1).build();
        let mut service = dropped.layer().layer(hanging());
        let mut call = Box::pin(
            ServiceExt::<()>::ready(&mut service)
                .await
                .unwrap()
                .call(()),
        );
        for _ in 0..polls {
            assert!(
                call.as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        sleep(wait).await;
        assert_eq!(samples(&dropped), NOTHING, "it is still under way");
        drop(call);
        assert_eq!(samples(&dropped), learned, "{polls} polls, then {wait:?}");
        assert_eq!(dropped.snapshot().timed_out, 0);
    }

    // At least 50 ms, and not 50 ms: with one that took 40 and one that took 60 the half lies beyond 40.
    let timeout = learning();
    timeout.record(40 * MS);
    timeout.record_unfinished(50 * MS);
    timeout.record(60 * MS);
    let p95 = timeout.snapshot().p95.unwrap();
    assert!((57 * MS..63 * MS).contains(&p95), "{p95:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fixed_one_learns_nothing() {
    let timeout = AdaptiveTimeout::fixed(SECOND);
    for _ in 0..200 {
        timeout
            .run(async { Ok::<_, fmt::Error>(()) })
            .await
            .unwrap();
        timeout.record(MS);
        timeout.record_unfinished(MS);
    }
    assert_eq!(samples(&timeout), NOTHING);
    assert_eq!(timeout.current_timeout(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_service_passes_through_and_is_no_answer() {
    for ending in [Ending::PanicInCall, Ending::PanicInPoll] {
        for timeout in [learning(), AdaptiveTimeout::fixed(SECOND)] {
            let service = (timeout.layer(), WidenLayer).layer(Probe::new(Script::new(ending)));
            let call = tokio::spawn(service.oneshot(()));
            assert!(call.await.unwrap_err().is_panic());
            assert_eq!(samples(&timeout), NOTHING);
        }
    }
}

// === What exploring calls take ===

/// A timeout of 15 ms that does not know any more what calls take: one in eight climbs, eight at once at most.
async fn frozen() -> AdaptiveTimeout {
    let timeout = AdaptiveTimeout::builder("frozen")
        .min_samples(20)
        .total(10 * SECOND)
        .seed(7)
        .build();
    (0..50).for_each(|_| timeout.record(10 * MS));
    sleep(SECOND).await;
    // Looks, and learns from them.
    assert!(timeout.snapshot().current_timeout < 20 * MS);
    (0..500).for_each(|_| timeout.record_unfinished(15 * MS));
    sleep(SECOND).await;
    timeout.record_unfinished(15 * MS);
    assert_eq!(timeout.snapshot().p95, None, "frozen");
    assert!(timeout.current_timeout() < 20 * MS, "{timeout:?}");
    timeout
}

/// How many calls of a thousand are still under way after 30 ms, all of them begun within one: those that climb.
async fn climbers(timeout: &AdaptiveTimeout, ending: Ending) -> usize {
    let probe = Probe::new(Script::new(Ending::Hang)).playing(move |_| Script::new(ending));
    let controls = probe.controls();
    let service = (timeout.layer(), WidenLayer).layer(probe);
    let mut calls = Vec::new();
    for _ in 0..1000 {
        calls.push(tokio::spawn(service.clone().oneshot(())));
        tokio::time::advance(MS / 1000).await;
    }
    sleep(30 * MS).await;
    let climbing = controls.counts().live_futures;
    calls.iter().for_each(|call| call.abort());
    for call in calls {
        let _ = call.await;
    }
    climbing
}

/// Eight places, which are all there again after each way in which a call can end.
// proves: A-1
#[tokio::test(start_paused = true)]
async fn the_places_of_calls_that_climb_are_all_given_back_however_they_end() {
    for ending in [
        Ending::Ok,
        Ending::Err,
        Ending::PanicInCall,
        Ending::PanicInPoll,
        Ending::Hang,
    ] {
        let timeout = frozen().await;
        for _ in 0..3 {
            let climbing = climbers(&timeout, ending).await;
            assert_eq!(
                climbing,
                if ending == Ending::Hang { 8 } else { 0 },
                "{ending}"
            );
        }
        let timeout = if ending == Ending::Ok {
            frozen().await
        } else {
            timeout
        };
        assert_eq!(climbers(&timeout, Ending::Hang).await, 8, "after {ending}");
        // Dropped, as they were just now.
        assert_eq!(climbers(&timeout, Ending::Hang).await, 8, "after {ending}");
    }
}

fn subject(layer: AdaptiveTimeoutLayer) -> Subject<(AdaptiveTimeoutLayer, WidenLayer)> {
    Subject::new((layer, WidenLayer))
}

// proves
#[test]
fn the_contract_of_a_service_is_kept_and_nothing_is_lost_at_any_point() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _time = runtime.enter();
    for make in [
        || AdaptiveTimeoutLayer::fixed(SECOND),
        || {
            AdaptiveTimeout::builder("learning")
                .min_samples(1)
                .build()
                .layer()
        },
    ] {
        strict_contract(|| subject(make()));
        let report = cancel_matrix(|| subject(make()));
        assert!(
            report.endings.answered > 0 && report.endings.failed > 0,
            "{report}"
        );
        assert!(
            report.endings.panicked > 0 && report.endings.dropped_running > 0,
            "{report}"
        );
        assert_eq!(report.endings.refused, 0, "{report}");
    }
}

#[test]
fn a_panic_passes_through_a_handle_as_well() {
    let timeout = learning();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let call = timeout.run(async {
        Probe::<Live, ProbeError>::new(Script::new(Ending::PanicInPoll))
            .oneshot(())
            .await
    });
    assert!(catch_unwind(AssertUnwindSafe(|| runtime.block_on(call))).is_err());
    assert_eq!(samples(&timeout), NOTHING);
}
