//! What every layer promises, for a gate with a queue.

use buttress_core::{Plain, Queued, Widen, WidenLayer};
use buttress_testkit::{Hammer, Probe, Subject, Testable, cancel_matrix, deep, strict_contract};
use tower::layer::layer_fn;

use super::door::{Door, Manner};
use super::journal::{Event, Journal};

/// Plain calls through a door.
fn behind(door: &Door) -> impl Testable<Service: Clone + Send> + Sync + use<> {
    let (door, slots, queue) = (door.clone(), door.clone(), door.clone());
    let layer = layer_fn(move |inner: Widen<Probe>| Queued::new(inner, door.clone(), Plain::new()));
    Subject::new((layer, WidenLayer))
        .requests(|| 0_u32)
        .conserves("slots", move || slots.slots_taken())
        .conserves("places", move || queue.queued())
}

/// The contract, and a drop at every point.
fn keeps_every_promise(manner: Manner) {
    let fixture = || behind(&Door::new(manner, Journal::default()));
    // A wait that is pending without need wakes itself without need, which the contract forbids.
    if manner.hesitation == 0 {
        strict_contract(fixture);
    }
    let report = cancel_matrix(fixture);
    let ways = report.endings;
    assert!(
        ways.answered > 0 && ways.failed > 0 && ways.panicked > 0,
        "{report}"
    );
    assert!(
        ways.dropped_unpolled > 0 && ways.dropped_running > 0,
        "{report}"
    );
    assert_eq!(ways.refused, 0, "{report}");
}

// proves
#[test]
fn calls_let_in_at_once_keep_every_promise() {
    keeps_every_promise(Manner {
        slots: 1,
        ..Manner::default()
    });
}

// proves
#[test]
fn calls_that_wait_keep_every_promise() {
    for hesitation in 0..3 {
        keeps_every_promise(Manner {
            slots: 1,
            never_at_once: true,
            hesitation,
            ..Manner::default()
        });
    }
}

// proves: A-1
#[test]
fn loses_nothing_under_the_hammer() {
    const SLOTS: usize = 3;
    let journal = Journal::default();
    let manner = Manner {
        slots: SLOTS,
        ..Manner::default()
    };
    let door = Door::new(manner, journal.clone());
    let report = Hammer::new(deep(20_000, 1_000_000))
        .tasks(8)
        .run(behind(&door));
    assert_eq!(report.endings.refused, 0, "{report}");
    assert_eq!(report.peak_in_flight, SLOTS, "{report}");
    let waited = door.tickets();
    assert!(
        waited > report.calls() / 10,
        "only {waited} waited: {report}"
    );
    let happened = journal.take();
    let left = happened.iter().filter(|event| **event == Event::Left);
    let left = left.count();
    assert!(left > report.calls() / 100, "only {left} left: {report}");
    // The kit makes one call more when all is over.
    assert_eq!(happened.len() - left, report.inner_calls + 1, "{report}");
}
