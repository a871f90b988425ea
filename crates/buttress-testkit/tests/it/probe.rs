//! The probe alone: what it refuses, what it counts, and how it is let go.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use buttress_testkit::{
    Controls, Ending, Live, Probe, ProbeError, ProbeFuture, Readiness, Script, ScriptedPanic,
};
use tower::Service;
use tower::util::BoxCloneSyncService;

#[test]
#[should_panic(expected = "without its own readiness: this instance was never polled ready")]
fn a_call_without_readiness_fails_the_test() {
    let mut probe = Probe::new(Script::default());
    drop(probe.call(()));
}

#[test]
#[should_panic(expected = "without its own readiness: one report of readiness allows one call")]
fn a_second_call_on_one_report_of_readiness_fails_the_test() {
    let mut probe = readied(Script::default());
    drop(probe.call(()));
    drop(probe.call(()));
}

#[test]
#[should_panic(expected = "without its own readiness: it is a clone")]
fn a_call_on_a_clone_of_a_readied_probe_fails_the_test() {
    let probe = readied(Script::default());
    let mut clone = probe.clone();
    drop((clone.call(()), probe));
}

#[test]
#[should_panic(expected = "without its own readiness: its readiness was still pending")]
fn a_call_on_a_pending_probe_fails_the_test() {
    let mut probe = Probe::new(Script::default().readiness(Readiness::After(1)));
    assert!(poll_ready(&mut probe).is_pending());
    drop(probe.call(()));
}

#[test]
#[should_panic(expected = "without its own readiness: its readiness had failed")]
fn a_call_after_failed_readiness_fails_the_test() {
    let mut probe = Probe::new(Script::default().readiness(Readiness::Fails));
    assert!(matches!(poll_ready(&mut probe), Poll::Ready(Err(_))));
    drop(probe.call(()));
}

#[test]
#[should_panic(expected = "the inner future was polled after it had ended")]
fn a_poll_after_the_end_fails_the_test() {
    let mut future = pin!(readied(Script::default()).call(()));
    assert!(poll(&mut future).is_ready());
    assert!(poll(&mut future).is_ready());
}

#[test]
fn a_breach_is_counted_even_when_its_panic_is_swallowed() {
    let mut probe = Probe::new(Script::default());
    let controls = probe.controls();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(probe.call(())))).is_err());
    assert_eq!(controls.counts().breaches, 1);
}

#[test]
fn an_idle_probe_stays_ready() {
    let mut probe = readied(Script::default().readiness(Readiness::After(1)).by_hand());
    assert!(poll_ready(&mut probe).is_ready());
    assert_eq!(probe.controls().counts().readiness_polls, 3);
}

#[test]
fn readiness_and_calls_wait_as_often_as_the_script_says() {
    let script = Script::default()
        .readiness(Readiness::After(2))
        .suspensions(3);
    let mut probe = Probe::new(script);
    assert_eq!(polls_until(|| poll_ready(&mut probe).is_ready()), 3);
    let mut future = pin!(probe.call(()));
    assert_eq!(polls_until(|| poll(&mut future).is_ready()), 4);
}

#[test]
fn a_release_ends_one_suspension_of_everything_that_waits() {
    let mut first = readied(Script::default().suspensions(2).by_hand());
    let controls = first.controls();
    let mut second = first.clone();
    release_until_ready(&mut second, &controls);
    let (mut first, mut second) = (pin!(first.call(())), pin!(second.call(())));

    for _ in 0..2 {
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        assert!(
            poll(&mut first).is_pending(),
            "nothing was released in between"
        );
        controls.release();
    }
    assert!(poll(&mut first).is_ready() && poll(&mut second).is_ready());
}

#[test]
fn a_call_is_in_flight_until_it_ends_and_open_until_its_value_is_gone() {
    let mut probe = readied(Script::default());
    let controls = probe.controls();
    let mut future = Box::pin(probe.call(()));
    let before = controls.counts();
    assert_eq!(
        (before.in_flight, before.open, before.live_values),
        (1, 1, 0)
    );

    let Poll::Ready(Ok(value)) = poll(&mut future) else {
        panic!("not answered")
    };
    let after = controls.counts();
    assert_eq!((after.in_flight, after.open, after.live_values), (0, 1, 1));
    assert_eq!((after.live_futures, after.dropped_futures), (1, 0));

    drop((future, value));
    let end = controls.counts();
    assert_eq!((end.live_futures, end.open, end.live_values), (0, 0, 0));
    assert_eq!(
        (end.peak_in_flight, end.peak_open, end.dropped_futures),
        (1, 1, 0)
    );
}

#[test]
fn a_future_dropped_before_its_end_is_counted_as_dropped() {
    let mut probe = readied(Script::new(Ending::Hang));
    let controls = probe.controls();
    let mut future = Box::pin(probe.call(()));
    assert!(poll(&mut future).is_pending());
    drop(future);
    let counts = controls.counts();
    assert_eq!(
        (counts.dropped_futures, counts.in_flight, counts.open),
        (1, 0, 0)
    );
}

#[test]
fn clones_and_living_instances_are_counted() {
    let probe = Probe::new(Script::default());
    let controls = probe.controls();
    let clones = [probe.clone(), probe.clone()];
    assert_eq!(
        (controls.counts().clones, controls.counts().live_services),
        (2, 3)
    );
    drop((probe, clones));
    assert_eq!(controls.counts().live_services, 0);
}

#[test]
fn a_changed_probe_is_still_one_instance() {
    let probe = Probe::new(Script::default())
        .responding(|_| "text")
        .infallible();
    assert_eq!(probe.controls().counts().live_services, 1);
}

#[test]
fn a_plan_chooses_the_script_of_each_turn() {
    let mut probe =
        Probe::with_plan(|turn| Script::new(if turn == 1 { Ending::Ok } else { Ending::Err }));
    let failed: Vec<Option<u64>> = (0..3)
        .map(|_| {
            assert!(poll_ready(&mut probe).is_ready());
            match poll(&mut pin!(probe.call(()))) {
                Poll::Ready(result) => result.err().map(ProbeError::turn),
                Poll::Pending => panic!("no suspension was asked for"),
            }
        })
        .collect();
    assert_eq!(failed, [Some(0), None, Some(2)]);
}

#[test]
fn scripted_panics_come_where_they_are_asked_for() {
    let mut probe = readied(Script::new(Ending::PanicInCall));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(probe.call(()))));
    assert!(panic.is_err_and(|panic| ScriptedPanic::is(&*panic)));

    let mut future = Box::pin(readied(Script::new(Ending::PanicInPoll)).call(()));
    let panic = catch_unwind(AssertUnwindSafe(|| poll(&mut future).is_ready()));
    assert!(panic.is_err_and(|panic| ScriptedPanic::is(&*panic)));
}

#[test]
#[should_panic(expected = "asks an infallible probe for an error")]
fn an_infallible_probe_has_no_error_to_give() {
    let mut probe = Probe::new(Script::new(Ending::Err)).infallible();
    assert!(
        Service::<()>::poll_ready(&mut probe, &mut Context::from_waker(Waker::noop())).is_ready()
    );
    let _ = pin!(probe.call(())).poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn a_probe_works_boxed() {
    let probe = Probe::new(Script::default());
    let controls = probe.controls();
    let mut service: BoxCloneSyncService<&str, _, _> = BoxCloneSyncService::new(probe);
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(cx).is_ready());
    assert!(pin!(service.call("a request")).poll(cx).is_ready());
    assert_eq!(controls.counts().calls, 1);
}

#[test]
fn an_error_is_known_in_every_wrapping() {
    let mut probe = readied(Script::new(Ending::Err));
    let Poll::Ready(Err(error)) = poll(&mut pin!(probe.call(()))) else {
        panic!("no error")
    };

    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
    assert!(ProbeError::is_in(&*boxed));
    assert!(ProbeError::is_in(&std::io::Error::other(error)));
    assert!(ProbeError::is_in(&std::io::Error::other(format!(
        "status: {error}"
    ))));
    assert!(!ProbeError::is_in(&std::io::Error::other("another error")));
}

fn readied(script: Script) -> Probe {
    let mut probe = Probe::new(script);
    let controls = probe.controls();
    release_until_ready(&mut probe, &controls);
    probe
}

fn release_until_ready(probe: &mut Probe, controls: &Controls) {
    while poll_ready(probe).is_pending() {
        controls.release();
    }
}

fn polls_until(mut done: impl FnMut() -> bool) -> usize {
    (1..100).find(|_| done()).expect("done before long")
}

fn poll_ready(probe: &mut Probe) -> Poll<Result<(), ProbeError>> {
    Service::<()>::poll_ready(probe, &mut Context::from_waker(Waker::noop()))
}

fn poll<F: Future>(
    future: &mut std::pin::Pin<impl std::ops::DerefMut<Target = F>>,
) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

const _: fn() = || {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Probe<Rc<()>, Infallible>>();
    anywhere::<ProbeFuture<Live, ProbeError>>();
    anywhere::<Controls>();
    anywhere::<Live>();
};
