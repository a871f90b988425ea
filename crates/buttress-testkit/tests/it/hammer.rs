use std::panic::{AssertUnwindSafe, catch_unwind};

use buttress_testkit::{Hammer, HammerReport, Subject, deep};
use tower::layer::util::Identity;

use crate::limit::{Fault, Limit};

#[test]
fn an_honest_limit_is_reached_and_never_passed() {
    let calls = deep(50_000, 1_000_000);
    let report = Hammer::new(calls)
        .tasks(8)
        .run(Limit::subject(4, Fault::None));
    assert_eq!(report.calls(), calls);
    assert_eq!((report.peak_in_flight, report.peak_open), (4, 4));
    assert_every_ending_came(&report, calls);
}

#[test]
fn one_call_too_many_shows_in_the_peak() {
    let report = Hammer::new(10_000).run(Limit::subject(4, Fault::AdmitsOneMore));
    assert_eq!(report.peak_open, 5);
}

#[test]
fn every_leak_is_found() {
    let leaks = [
        Fault::LeaksTheReservation,
        Fault::LeaksBeforeTheFirstPoll,
        Fault::LeaksWhileRunning,
        Fault::LeaksOnError,
        Fault::LeaksOnPanic,
        Fault::LeaksUnread,
        Fault::LeaksHalfRead,
    ];
    for fault in leaks {
        let told = complaint(fault);
        assert!(told.contains("still held"), "{fault:?}: {told}");
        assert!(told.contains("BUTTRESS_SEED=11"), "{fault:?}: {told}");
    }
}

#[test]
fn calls_without_readiness_are_found() {
    let told = complaint(Fault::ClonesInCall);
    assert!(told.contains("without its own readiness"), "{told}");
}

#[test]
fn a_lost_wake_is_found() {
    let told = complaint(Fault::DropsTheWaker);
    assert!(
        told.contains("calls wait, and nobody will ever wake them"),
        "{told}"
    );
}

#[test]
fn a_layer_that_spins_on_a_hang_is_left_too() {
    let report = Hammer::new(1_000).run(Limit::subject(4, Fault::Spins));
    assert_eq!(report.calls(), 1_000);
}

#[test]
fn one_thread_repeats_a_seed_exactly() {
    let run = |seed| {
        let hammer = Hammer::new(5_000).threads(1).seed(seed);
        hammer.run(Limit::subject(4, Fault::None))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).endings, run(2).endings);
}

#[test]
fn calls_and_tasks_are_spread_without_loss() {
    let report = Hammer::new(10_001)
        .threads(3)
        .tasks(2)
        .run(Subject::new(Identity::new()));
    assert_eq!(report.calls(), 10_001);
}

#[test]
#[should_panic(expected = "no call was answered")]
fn a_run_that_answers_nothing_proves_nothing() {
    let _ = Hammer::new(1_000).run(Limit::subject(0, Fault::None));
}

#[test]
#[should_panic(expected = "the surroundings did not do their work")]
fn surroundings_that_do_nothing_fail() {
    let _ = Hammer::new(1_000)
        .within(|_| ())
        .run(Limit::subject(1, Fault::None));
}

/// Each way to end takes at least one call in 200, else the run tried less than it says.
fn assert_every_ending_came(report: &HammerReport, calls: usize) {
    let ways = report.endings;
    let counts = [
        ways.answered,
        ways.failed,
        ways.refused,
        ways.panicked,
        ways.dropped_unready,
        ways.dropped_ready,
        ways.dropped_unpolled,
        ways.dropped_running,
        ways.dropped_unread,
        ways.dropped_reading,
    ];
    assert!(counts.iter().all(|count| *count >= calls / 200), "{report}");
}

fn complaint(fault: Fault) -> String {
    let hammer = Hammer::new(20_000).seed(11);
    let run = AssertUnwindSafe(|| hammer.run(Limit::subject(16, fault)));
    let panic = catch_unwind(run).expect_err("the fault was not found");
    *panic
        .downcast::<String>()
        .expect("a panic with a formatted message")
}
