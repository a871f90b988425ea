//! Every interleaving of three threads, two preemptions.

use loom::sync::Arc;
use loom::thread;

use super::{Claim, Slots};

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

/// Two callers and a resize: whoever gets in gets in under the limit that holds at that very moment.
// proves: PB-1
#[test]
fn a_resize_beside_two_callers_lets_nobody_in_above_the_limit() {
    model(|| {
        let slots = Arc::new(Slots::new(2, 0));
        let call = |slots: Arc<Slots>| {
            move || {
                if let Some(occupancy) = slots.take(Claim::ORDINARY) {
                    assert!(occupancy.in_flight() <= occupancy.limit());
                    let _ = slots.give_back(Claim::ORDINARY);
                }
            }
        };
        let callers = [(); 2].map(|()| thread::spawn(call(slots.clone())));
        slots.resize(1);
        assert!(slots.take(Claim::ORDINARY).is_none_or(|occupancy| {
            let _ = slots.give_back(Claim::ORDINARY);
            (occupancy.in_flight(), occupancy.limit()) == (1, 1)
        }));
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!((slots.occupancy().in_flight(), slots.configured()), (0, 1));
    });
}

/// Two resizes: what is reported is what is in force.
// proves: PB-1
#[test]
fn after_two_resizes_the_reported_limit_is_the_one_in_force() {
    model(|| {
        let slots = Arc::new(Slots::new(1, 0));
        let resizes = [2, 3].map(|limit| {
            let slots = slots.clone();
            thread::spawn(move || slots.resize(limit))
        });
        for resize in resizes {
            resize.join().unwrap();
        }
        assert_eq!(slots.configured(), slots.occupancy().limit());
    });
}

/// One slot, three callers: never two inside.
// proves: A-2, PB-1
#[test]
fn one_slot_holds_one_call() {
    model(|| {
        let slots = Arc::new(Slots::new(1, 0));
        let inside = Arc::new(buttress_sync::atomic::AtomicU32::new(0));
        let call = |slots: Arc<Slots>, inside: Arc<buttress_sync::atomic::AtomicU32>| {
            use buttress_sync::atomic::Ordering::SeqCst;
            move || {
                if slots.take(Claim::ORDINARY).is_some() {
                    assert_eq!(inside.fetch_add(1, SeqCst), 0);
                    inside.fetch_sub(1, SeqCst);
                    let _ = slots.give_back(Claim::ORDINARY);
                }
            }
        };
        let callers = [(); 2].map(|()| thread::spawn(call(slots.clone(), inside.clone())));
        call(slots.clone(), inside.clone())();
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!(slots.occupancy().in_flight(), 0);
    });
}

/// Somebody waits for the last call while two leave: exactly one of the two learns of it, or the watcher sees none inside.
#[test]
fn the_last_to_leave_tells_the_watcher() {
    model(|| {
        let slots = Arc::new(Slots::new(2, 0));
        let taken = slots.take(Claim::ORDINARY).is_some() && slots.take(Claim::ORDINARY).is_some();
        assert!(taken);
        let leavers = [(); 2].map(|()| {
            let slots = slots.clone();
            thread::spawn(move || slots.give_back(Claim::ORDINARY))
        });
        let inside = slots.watch().in_flight();
        let told = leavers.into_iter().map(|leaver| leaver.join().unwrap());
        let told = told
            .filter(|before| before.was_the_last_and_watched())
            .count();
        assert_eq!(told, usize::from(inside > 0), "{inside} were inside");
    });
}
