//! What a window knows of what it has forgotten.

use super::{BUCKETED, Window, at};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Ten a second, and so many times as many.
fn filled_for(seconds: u64, charged: u32) -> Window {
    let window = Window::new(10, SECOND, BUCKETED, at(0));
    for second in 0..seconds {
        assert!(window.take(10, at(second * SECOND)).is_ok());
        window.charge(charged, at(second * SECOND));
    }
    window
}

/// The rounds of the ring are counted in sixteen bits. When they have run over, as much counts as there can be.
// proves: RL-1
#[test]
fn a_window_whose_rounds_ran_over_forgets_nothing() {
    for seconds in [65_530, 65_533, 65_535, 65_536, 65_537, 65_600, 131_080] {
        let window = filled_for(seconds, 0);
        let now = at((seconds - 1) * SECOND);
        window.set(1_000, MINUTE, now);
        let remaining = window.level(now).remaining;
        assert!((360..=400).contains(&remaining), "{seconds} s: {remaining}");
    }
}

/// A charge makes the head go on without any time.
// proves: RL-1
#[test]
fn a_window_whose_rounds_ran_over_by_charges_forgets_nothing() {
    for seconds in [100, 32_767, 32_768, 32_769, 32_780, 65_000, 65_600] {
        let window = filled_for(seconds, 10);
        let now = at((seconds - 1) * SECOND);
        window.set(1_000, MINUTE, now);
        let remaining = window.level(now).remaining;
        assert!((360..=400).contains(&remaining), "{seconds} s: {remaining}");
    }
}

/// Charges do not cost it what it knows: few units long ago are few, however many were charged in between.
#[test]
fn a_window_with_many_charges_still_knows_how_much_it_was() {
    let window = Window::new(2, SECOND, BUCKETED, at(0));
    for second in 0..100_000 {
        assert!(window.take(1, at(second * 40 * SECOND)).is_ok());
        window.charge(2, at(second * 40 * SECOND));
    }
    let rounds = window.changing.lock().rounds.count();
    assert!(rounds.is_some_and(|rounds| rounds > 100_000), "{rounds:?}");
}

/// A window that is made late has not been there before.
#[test]
fn a_window_that_was_made_late_has_taken_no_more_than_it_has() {
    let born = 70_000 * SECOND;
    let window = Window::new(10, SECOND, BUCKETED, at(born));
    assert!(window.take(1, at(born)).is_ok());
    window.set(20, MINUTE, at(born));
    assert_eq!(window.level(at(born)).remaining, 19);
}

#[test]
fn what_is_kept_of_the_past_is_bounded_and_no_younger_than_it_looks_by_much() {
    let window = Window::new(64, SECOND, BUCKETED, at(0));
    for second in 0..1_000 {
        assert!(window.take(7, at(second * SECOND)).is_ok());
        let limit = 64 + u32::try_from(second % 2).unwrap();
        window.set(limit, SECOND, at(second * SECOND));
    }
    assert!(window.changing.lock().older.capacity() <= 32);
    let now = at(999 * SECOND);
    window.set(100_000, 100 * SECOND, now);
    let spent = 100_000 - window.level(now).remaining;
    assert!((700..=1_000).contains(&spent), "{spent}");
}

/// Of what was charged beyond the limit nobody knows when it came: for all that is known, before what is remembered exactly.
// proves: RL-1
#[test]
fn what_is_remembered_exactly_counts_before_what_is_older_or_less_certain() {
    const HALF: u64 = SECOND / 2;
    let window = Window::new(10, SECOND, BUCKETED, at(0));
    assert!(window.take(10, at(3 * HALF)).is_ok());
    window.set(10, SECOND, at(5 * HALF));
    assert!(window.take(10, at(6 * HALF)).is_ok());
    for _ in 0..4 {
        window.charge(10, at(6 * HALF));
    }
    // For all that is known they came at three seconds, two, one and none, and the thirty newest of all count.
    window.set(30, MINUTE, at(6 * HALF));
    let remaining = |halves: u64| window.level(at(MINUTE + halves * HALF)).remaining;
    assert_eq!([2, 3, 4, 6].map(remaining), [0, 10, 20, 30]);
}

#[test]
fn a_window_is_idle_when_nothing_would_be_in_a_longer_one_either() {
    let window = Window::new(10, SECOND, BUCKETED, at(0));
    assert!(window.is_idle(MINUTE, at(0)));
    let mut receipt = window.take(1, at(0)).unwrap();
    assert!(!window.is_idle(1, at(SECOND - 1)));
    assert!(window.is_idle(SECOND, at(SECOND)));
    assert!(!window.is_idle(MINUTE, at(MINUTE - 1)));
    assert!(window.is_idle(MINUTE, at(MINUTE)));
    assert_eq!(window.give_back(&mut receipt, 1), 1);
    assert!(window.is_idle(MINUTE, at(SECOND)));

    // Nor what it remembers beside its ring.
    assert!(window.take(1, at(SECOND)).is_ok());
    window.set(10, SECOND / 2, at(2 * SECOND));
    assert!(window.is_idle(SECOND, at(2 * SECOND)));
    assert!(!window.is_idle(MINUTE, at(MINUTE + SECOND - 1)));
    assert!(window.is_idle(MINUTE, at(MINUTE + SECOND)));
}
