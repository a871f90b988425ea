//! Each fault is found by the check whose promise it breaks, and the honest layer passes them all.

use std::panic::{AssertUnwindSafe, catch_unwind};

use buttress_testkit::{contract, strict_contract};

use crate::limit::{Fault, Limit};

#[test]
fn an_honest_layer_keeps_the_strict_contract() {
    strict_contract(|| Limit::subject(1, Fault::None));
}

#[test]
fn an_honest_layer_with_many_slots_keeps_the_strict_contract() {
    strict_contract(|| Limit::subject(100, Fault::None));
}

#[test]
fn a_fault_in_readiness_is_found_by_name() {
    assert_found(
        Fault::ClonesInCall,
        "calls_the_polled_instance: the inner service was called without its own readiness: it is a clone",
    );
    assert_found(
        Fault::IgnoresReadiness,
        "calls_the_polled_instance: the inner service was called without its own readiness: this instance was never polled",
    );
    assert_found(
        Fault::IgnoresReadiness,
        "waits_for_inner_readiness: reported ready while",
    );
    assert_found(
        Fault::CarriesReadinessToClones,
        "clone_carries_no_readiness: the inner service was called without its own readiness",
    );
    assert_found(
        Fault::SwallowsTheReadinessError,
        "inner_readiness_error_passes_through: reported ready when",
    );
}

#[test]
fn a_fault_in_waking_is_found_by_name() {
    assert_found(
        Fault::DropsTheWaker,
        "registers_a_waker: poll_ready was pending and did not wake",
    );
    assert_found(
        Fault::Spins,
        "registers_a_waker: poll_ready woke its task though nothing",
    );
    assert_found(
        Fault::KeepsTheFirstWaker,
        "follows_the_latest_waker: poll_ready was pending and did not wake",
    );
}

#[test]
fn a_service_that_is_ready_too_early_needs_no_waker_to_be_found() {
    assert_found(
        Fault::IgnoresReadiness,
        "registers_a_waker: poll_ready was ready before the inner one was",
    );
}

#[test]
fn a_waker_kept_from_the_first_task_is_found_only_by_the_second() {
    let told = complaint(Fault::KeepsTheFirstWaker);
    assert!(!told.contains("registers_a_waker"), "{told}");
}

#[test]
fn a_leak_is_found_by_name() {
    assert_found(Fault::LeaksTheReservation, "dropped_service_frees: ");
    assert_found(
        Fault::LeaksBeforeTheFirstPoll,
        "dropped_future_frees: ready at once, 2 suspensions, ok; future dropped before its first poll: slots: 1 still held",
    );
    assert_found(
        Fault::LeaksWhileRunning,
        "dropped_future_frees: ready at once, 2 suspensions, ok; future dropped while it ran: slots: 1 still held",
    );
    assert_found(
        Fault::LeaksOnError,
        "finished_call_frees: ready at once, 1 suspension, error; failed: slots: 1 still held",
    );
    assert_found(
        Fault::LeaksOnPanic,
        "panicking_inner_frees: ready at once, no suspension, panic in call; panicked: slots: 1 still held",
    );
    assert_found(
        Fault::LeaksUnread,
        "dropped_response_frees: ready at once, no suspension, ok; response dropped unread: slots",
    );
    assert_found(
        Fault::LeaksHalfRead,
        "dropped_response_frees: ready at once, no suspension, ok; response dropped while it was read: slots",
    );
    assert_found(
        Fault::KeepsTheFuture,
        "dropped_future_frees: ready at once, 2 suspensions, ok; future dropped before its first poll: inner futures: 1 still alive",
    );
    assert_found(
        Fault::RefusesAfterAPanic,
        "panicking_inner_frees: ready at once, no suspension, panic in call; panicked: a good call was not answered: refused: no slot is free",
    );
}

#[test]
fn what_else_is_wrong_is_found_by_name() {
    assert_found(
        Fault::KeepsTheResponse,
        "dropped_response_frees: ready at once, no suspension, ok; response dropped unread: inner responses: 1 still alive",
    );
    assert_found(
        Fault::HidesABreach,
        "calls_the_polled_instance: a breach of the inner service's contract was swallowed",
    );
    assert_found(
        Fault::AnswersByItself,
        "calls_the_polled_instance: a good call never reached the inner service",
    );
    assert_found(
        Fault::StallsWithoutItsService,
        "dropped_service_frees: the call stalled when its service was dropped",
    );
}

#[test]
fn the_strict_promises_are_asked_for_only_strictly() {
    assert_found(
        Fault::ReservesWhenReady,
        "readied_service_holds_nothing: slots: 2 still held",
    );
    assert_found(
        Fault::ReplacesTheError,
        "inner_error_passes_through: error inside, but: refused: no slot is free",
    );
    assert_found(
        Fault::CatchesThePanic,
        "inner_panic_passes_through: panic in call inside, but: refused",
    );
    for fault in [
        Fault::ReservesWhenReady,
        Fault::ReplacesTheError,
        Fault::CatchesThePanic,
    ] {
        contract(|| Limit::subject(2, fault));
    }
}

#[track_caller]
fn assert_found(fault: Fault, expected: &str) {
    let told = complaint(fault);
    assert!(told.contains(expected), "{fault:?} is told as: {told}");
}

/// What the strict contract says about a fault.
#[track_caller]
fn complaint(fault: Fault) -> String {
    let check = AssertUnwindSafe(|| strict_contract(|| Limit::subject(2, fault)));
    let panic = catch_unwind(check).expect_err("the fault was not found");
    *panic
        .downcast::<String>()
        .expect("a panic with a formatted message")
}
