//! Calls that wait and then end otherwise than with an answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use buttress_testkit::{Ending, drop_at_every_poll};

use super::door::Wait;
use super::*;

// === Refusals and errors ===

#[test]
fn an_error_of_the_readiness_is_the_calls_own_and_passes_unchanged() {
    let mut scene = Scene::new(Manner::default());
    let mut call = scene.waiting_call();
    scene.moods.then([Mood::Fails]);
    scene.door.free_a_slot();
    let Err(Error::Inner(error)) = finish(&mut call) else {
        panic!("the readiness fails");
    };
    assert_eq!(error.to_string(), "readiness is lost");
    scene.assert_happened([Polled(0), Polled(0), Dropped(0), FAILURE]);
    assert!(poll(&mut call).is_pending(), "it had ended");
    drop(call);
    scene.assert_happened([]);
    scene.assert_at_rest(1);
}

#[test]
fn a_call_that_comes_too_late_is_refused_and_never_made() {
    let mut scene = Scene::new(Manner {
        too_late: true,
        ..Manner::default()
    });
    let mut call = scene.waiting_call();
    scene.moods.then([Mood::Pending]);
    scene.door.free_a_slot();
    assert_eq!(reason_of(finish(&mut call)), Reason::DeadlineExceeded);
    // Asked last: the time to get ready is over by then.
    scene.assert_happened([Polled(0), Polled(0), Polled(0), Dropped(0), UNSETTLED]);
    scene.assert_at_rest(1);
}

#[test]
fn a_wait_that_ends_in_vain_is_a_refusal_and_nothing_is_kept() {
    let mut scene = Scene::new(Manner {
        hesitation: 1,
        wait: Wait::Refuses,
        ..Manner::default()
    });
    let mut call = scene.call();
    assert_eq!(reason_of(finish(&mut call)), Reason::Overloaded);
    scene.assert_happened([Polled(0), Dropped(0)]);
    assert_eq!(reason_of(finish(&mut call)), Reason::Overloaded);
    scene.assert_at_rest(0);
}

#[test]
fn an_error_of_the_call_passes_unchanged() {
    let mut scene = Scene::playing(Manner::default(), Script::new(Ending::Err));
    let mut call = scene.waiting_call();
    scene.door.free_a_slot();
    let Err(Error::Inner(error)) = finish(&mut call) else {
        panic!("the call fails");
    };
    assert_eq!(error.to_string(), "the probe failed in turn 0");
    scene.assert_happened([Polled(0), Polled(0), Called(0, 1), Dropped(0), FAILURE]);
}

// === Drops ===

/// A call that waits, gets a slot in vain where `slots` says so, and is polled and dropped.
fn dropped_after(slots: usize, polls: usize, moods: &[Mood]) -> Scene {
    let script = Script::default().suspensions(1);
    let mut scene = Scene::playing(Manner::default(), script);
    let mut call = scene.waiting_call();
    moods.iter().for_each(|mood| scene.moods.then([*mood]));
    (0..slots).for_each(|_| scene.door.free_a_slot());
    (0..polls).for_each(|_| assert!(poll(&mut call).is_pending()));
    drop(call);
    scene.assert_at_rest(slots);
    scene
}

// The inner service may have reserved something for what waits; whoever is next finds it free again.
#[test]
fn what_waits_goes_before_its_place_does() {
    dropped_after(0, 0, &[]).assert_happened([Polled(0), Dropped(0), Left]);
}

#[test]
fn what_waits_goes_before_the_slot_that_was_meant_for_it_does() {
    dropped_after(1, 0, &[]).assert_happened([Polled(0), Dropped(0), Left]);
}

#[test]
fn what_is_not_ready_goes_before_its_permit_does() {
    let scene = dropped_after(1, 1, &[Mood::Pending]);
    scene.assert_happened([Polled(0), Polled(0), Dropped(0), UNSETTLED]);
}

#[test]
fn a_call_that_has_begun_is_dropped_unsettled() {
    let scene = dropped_after(1, 1, &[]);
    scene.assert_happened([Polled(0), Polled(0), Called(0, 1), Dropped(0), UNSETTLED]);
    assert_eq!(scene.probe.counts().dropped_futures, 1);
}

#[test]
fn a_slot_meant_for_a_call_that_is_dropped_goes_to_the_next() {
    let mut scene = Scene::new(Manner::default());
    let first = scene.waiting_call();
    let mut second = scene.call();
    scene.door.free_a_slot();
    assert!(poll(&mut second).is_pending());
    drop(first);
    assert!(finish(&mut second).is_ok());
    drop(second);
    scene.assert_at_rest(1);
}

// proves: A-1
#[test]
fn a_call_dropped_at_any_poll_leaves_nothing_behind() {
    for ending in Ending::ALL {
        let manner = Manner {
            slots: 1,
            never_at_once: true,
            hesitation: 2,
            ..Manner::default()
        };
        let times = drop_at_every_poll(|| {
            let mut scene = Scene::playing(manner, Script::new(ending).suspensions(2));
            let call = scene.call();
            scene.moods.then([Mood::Pending, Mood::Pending]);
            (call, move |polls| {
                let ended = scene.journal.take();
                let ended = ended.iter().filter(|event| matches!(event, Ended(_)));
                assert_eq!(ended.count(), usize::from(polls > 2), "{ending}, {polls}");
                scene.assert_at_rest(1);
            })
        });
        let begun = if ending == Ending::PanicInCall { 0 } else { 2 };
        // No poll, two of the wait, two of the readiness, those of the call, and the last.
        assert_eq!(times, 1 + 2 + 2 + begun + 1, "{ending}");
    }
}

// === Panics ===

/// Polls a call that panics.
fn panics(call: &mut Call) {
    let polled = catch_unwind(AssertUnwindSafe(|| poll(call).is_ready()));
    assert!(polled.is_err(), "the panic goes on to the caller");
}

#[test]
fn a_panic_of_the_readiness_settles_a_failure_once() {
    let mut scene = Scene::new(Manner::default());
    let mut call = scene.waiting_call();
    scene.moods.then([Mood::Panics]);
    scene.door.free_a_slot();
    panics(&mut call);
    scene.assert_happened([Polled(0), Polled(0), FAILURE]);
    assert!(poll(&mut call).is_pending(), "it had ended");
    drop(call);
    scene.assert_happened([Dropped(0)]);
    scene.assert_at_rest(1);
}

#[test]
fn a_panic_in_call_settles_a_failure_once() {
    let mut scene = Scene::playing(Manner::default(), Script::new(Ending::PanicInCall));
    let mut call = scene.waiting_call();
    scene.door.free_a_slot();
    panics(&mut call);
    scene.assert_happened([Polled(0), Polled(0), Called(0, 1), FAILURE, Dropped(0)]);
    assert!(poll(&mut call).is_pending(), "it had ended");
    drop(call);
    scene.assert_happened([]);
    scene.assert_at_rest(1);
}

#[test]
fn a_panic_in_call_of_a_call_let_in_at_once_settles_a_failure_once() {
    let manner = Manner {
        slots: 1,
        ..Manner::default()
    };
    let mut scene = Scene::playing(manner, Script::new(Ending::PanicInCall));
    let called = catch_unwind(AssertUnwindSafe(|| drop(scene.call())));
    assert!(called.is_err(), "the panic goes on to the caller");
    scene.assert_happened([Polled(0), Called(0, 1), FAILURE]);
    scene.assert_at_rest(1);
}

#[test]
fn a_panic_in_poll_settles_a_failure_once() {
    let mut scene = Scene::playing(Manner::default(), Script::new(Ending::PanicInPoll));
    let mut call = scene.waiting_call();
    scene.door.free_a_slot();
    panics(&mut call);
    scene.assert_happened([Polled(0), Polled(0), Called(0, 1), Dropped(0), FAILURE]);
    drop(call);
    scene.assert_happened([]);
    scene.assert_at_rest(1);
}

#[test]
fn a_panic_of_the_wait_says_nothing_of_the_inner_service() {
    let mut scene = Scene::new(Manner {
        wait: Wait::Panics,
        ..Manner::default()
    });
    let mut call = scene.call();
    panics(&mut call);
    scene.assert_happened([Polled(0)]);
    drop(call);
    scene.assert_happened([Dropped(0), Left]);
    scene.assert_at_rest(0);
}
