//! Every interleaving of three threads.

use buttress_timer::Moment;
use loom::sync::Arc;
use loom::thread;

use super::{Level, Window};

const WIDTH: u64 = 100;

fn at(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

fn model(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

fn take(window: &Arc<Window>, units: u32, now: u64) -> thread::JoinHandle<bool> {
    let window = window.clone();
    thread::spawn(move || window.take(units, at(now)).is_ok())
}

fn count(threads: impl IntoIterator<Item = thread::JoinHandle<bool>>) -> u32 {
    let taken = threads.into_iter().map(|thread| thread.join().unwrap());
    taken.map(u32::from).sum()
}

/// A place becomes free, and three come for it, with three readings of the clock, one of them too early.
// proves: RL-1
#[test]
fn one_free_place_goes_to_one_call() {
    model(3, || {
        let window = Arc::new(Window::new(1, WIDTH, 1, at(0)));
        assert!(window.take(1, at(0)).is_ok());
        let others = [100, 101].map(|now| take(&window, 1, now));
        let early = window.take(1, at(99)).is_ok();
        let others = count(others);
        // The early one may count as of the stamp of another one, but then instead of it.
        assert_eq!(others + u32::from(early), 1);
        assert_eq!(window.level(at(199)).remaining, 0);
    });
}

/// Of slots of two units, and a ring of two: four at most, also across the slots, and none is left over.
// proves: RL-1
#[test]
fn coarse_slots_are_filled_to_the_last_unit_and_not_further() {
    model(2, || {
        let window = Arc::new(Window::new(4, WIDTH, 2, at(0)));
        assert!(window.take(1, at(0)).is_ok());
        let others = [1, 2].map(|now| take(&window, 1, now));
        let two = window.take(2, at(1)).is_ok();
        let taken = 1 + count(others) + 2 * u32::from(two);
        assert!(taken == 3 || taken == 4, "{taken}");
        assert_eq!(window.level(at(2)).remaining, 4 - taken);
        assert!(window.take(4 - taken + 1, at(99)).is_err());
    });
}

/// The last units leave the window while some come with older and some with newer times: those of the new window are never more than
/// the limit.
// proves: RL-1
#[test]
fn a_late_caller_takes_nothing_that_was_used_anew() {
    model(3, || {
        let window = Arc::new(Window::new(2, WIDTH, 2, at(0)));
        assert!(window.take(1, at(0)).is_ok());
        assert!(window.take(1, at(50)).is_ok());
        let others = [149, 150].map(|now| take(&window, 1, now));
        let own = window.take(1, at(100)).is_ok();
        let taken = count(others) + u32::from(own);
        // 100 and 150 at best; the place of 50 is free from 150 on only.
        assert!(taken == 1 || taken == 2, "{taken}");
        assert!(window.take(1, at(199)).is_err() || taken == 1);
    });
}

/// A slot is used anew by one caller while another, with an older time, takes what is left of its last round: the unit of the older
/// one is not forgotten.
// proves: RL-1
#[test]
fn a_late_unit_is_seen_by_whoever_uses_its_slot_anew() {
    model(3, || {
        let window = Arc::new(Window::new(2, WIDTH, 1, at(0)));
        assert!(window.take(1, at(0)).is_ok());
        let taken = count([take(&window, 1, 100), take(&window, 1, 50)]);
        assert!(taken == 1 || taken == 2, "{taken}");
        assert!(window.take(1, at(120)).is_err());
    });
}

/// A unit comes back beside two callers.
// proves: RL-1
#[test]
fn a_unit_given_back_beside_two_callers_goes_to_one() {
    for slots in [1, 2] {
        model(3, move || {
            let window = Arc::new(Window::new(2, WIDTH, slots, at(0)));
            assert!(window.take(1, at(0)).is_ok());
            let mut receipt = window.take(1, at(0)).unwrap();
            let others = [0, 1].map(|now| take(&window, 1, now));
            let given = window.give_back(&mut receipt, 1);
            assert_eq!(given, 1);
            let taken = count(others);
            assert!(taken <= 1);
            assert_eq!(window.level(at(1)).remaining, 1 - taken);
        });
    }
}

/// A unit comes back while a whole window later others come for the next ones, one of whom stamps slots that it does not get.
// proves: RL-1
#[test]
fn a_unit_given_back_late_leaves_no_hole() {
    model(3, || {
        let window = Arc::new(Window::new(2, WIDTH, 2, at(0)));
        assert!(window.take(1, at(0)).is_ok());
        let mut receipt = window.take(1, at(0)).unwrap();
        let others = [2, 1].map(|units| take(&window, units, 100));
        window.give_back(&mut receipt, 1);
        let [two, one] = others.map(|other| other.join().unwrap());
        // What was there first is free: so the one who comes for two gets them, or the other has taken one.
        assert!(two != one, "{two} {one}");
        let remaining = if two { 0 } else { 1 };
        let level = window.level(at(100));
        assert!(
            level.remaining == remaining || level.remaining + 1 == remaining,
            "{level:?}"
        );
        assert!(window.take(3 - remaining, at(199)).is_err() || !two);
    });
}

/// The limit changes beside two callers: what they have taken counts under the new one, and nobody gets in by a mixture of both.
// proves: RL-1
#[test]
fn a_change_of_the_limit_beside_two_callers_forgets_nothing() {
    model(2, || {
        let window = Arc::new(Window::new(2, WIDTH, 2, at(0)));
        assert!(window.take(1, at(0)).is_ok());
        let others = [1, 1].map(|now| take(&window, 1, now));
        window.set(1, 2 * WIDTH, at(1));
        let taken = count(others);
        assert!(taken <= 1);
        assert_eq!((window.limit(), window.width()), (1, 2 * WIDTH));
        assert_eq!(window.level(at(1)).remaining, 0);
        assert!(window.take(1, at(199)).is_err());
        window.set(3, 2 * WIDTH, at(199));
        assert_eq!(window.level(at(199)).remaining, 2 - taken);
    });
}

/// A charge beside two callers: it is taken, whatever they get, and they get no more than was free.
// proves: RL-1
#[test]
fn a_charge_beside_two_callers_is_owed() {
    for slots in [1, 2] {
        model(2, move || {
            let window = Arc::new(Window::new(2, WIDTH, slots, at(0)));
            assert!(window.take(1, at(0)).is_ok());
            let others = [0, 0].map(|now| take(&window, 1, now));
            window.charge(1, at(0));
            let taken = count(others);
            assert!(taken <= 1);
            assert_eq!(window.level(at(99)).remaining, 0);
            assert_eq!(
                window.level(at(100)),
                Level {
                    remaining: 2,
                    clear_after: 0
                }
            );
        });
    }
}
