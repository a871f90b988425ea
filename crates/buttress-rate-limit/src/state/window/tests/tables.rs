use super::{BUCKETED, Level, MOST_SLOTS, MOST_WIDTH, Wait, Window, at, twin};

const SECOND: u64 = 1_000_000_000;

/// SPEC, Behaviour 7.
// proves: RL-1, RL-3
#[test]
fn a_window_admits_its_limit_refuses_the_next_and_slides() {
    for slots in [100, BUCKETED] {
        let window = Window::new(100, SECOND, slots, at(0));
        for call in 0..100 {
            assert!(window.take(1, at(call)).is_ok());
        }
        assert!(window.take(1, at(100)).is_err());
        assert!(window.take(1, at(SECOND - 1)).is_err());
        assert!(window.take(1, at(SECOND + 1)).is_ok());
        assert!(window.take(100, at(3 * SECOND)).is_ok());
    }
}

#[test]
fn units_leave_an_exact_window_one_by_one() {
    let window = Window::new(3, 100, 3, at(0));
    for now in [0, 10, 20] {
        assert!(window.take(1, at(now)).is_ok());
    }
    assert_eq!(window.take(1, at(20)), Err(Wait::After(80)));
    assert_eq!(window.take(2, at(20)), Err(Wait::After(90)));
    assert_eq!(window.take(3, at(20)), Err(Wait::After(100)));
    assert_eq!(window.take(4, at(20)), Err(Wait::Never));
    assert!(window.take(1, at(100)).is_ok());
    assert_eq!(window.take(1, at(100)), Err(Wait::After(10)));
    assert_eq!(
        window.level(at(115)),
        Level {
            remaining: 1,
            clear_after: 85
        }
    );
}

/// A refusal looks at one slot, however many units it is about.
// proves: RL-3
#[test]
fn many_units_are_told_the_exact_wait() {
    for (limit, slots) in [(1_000, 1_000), (1_000, BUCKETED), (130, BUCKETED), (7, 3)] {
        let window = Window::new(limit, 10_000, slots, at(0));
        for now in 0..u64::from(limit) {
            assert!(window.take(1, at(now)).is_ok());
        }
        let now = u64::from(limit);
        for units in [1, 2, 3, limit / 3, limit - 1, limit] {
            let Err(Wait::After(wait)) = window.take(units, at(now)) else {
                panic!("{units} of {limit}")
            };
            assert_eq!(window.take(units, at(now + wait - 1)), Err(Wait::After(1)));
            assert!(twin(&window).take(units, at(now + wait)).is_ok());
        }
    }
}

#[test]
fn a_window_that_was_idle_is_free_to_the_last_unit() {
    let window = Window::new(640, 100, BUCKETED, at(0));
    assert!(window.take(3, at(0)).is_ok());
    assert_eq!(
        window.level(at(99)),
        Level {
            remaining: 637,
            clear_after: 1
        }
    );
    assert_eq!(window.take(640, at(99)), Err(Wait::After(1)));
    assert!(window.is_clean(at(100)));
    assert_eq!(
        window.level(at(100)),
        Level {
            remaining: 640,
            clear_after: 0
        }
    );
    assert!(window.take(640, at(100)).is_ok());
    assert_eq!(
        window.level(at(100)),
        Level {
            remaining: 0,
            clear_after: 100
        }
    );
}

#[test]
fn the_newest_units_can_be_given_back_and_others_of_the_slot_in_use() {
    let window = Window::new(20, 100, 2, at(0));
    let mut first = window.take(4, at(0)).unwrap();
    let mut second = window.take(3, at(0)).unwrap();
    assert_eq!(window.give_back(&mut first, 4), 4);
    assert_eq!(window.give_back(&mut first, 4), 0);
    let mut third = window.take(9, at(0)).unwrap();
    // Six of the nine are in the next slot, and nobody has come since.
    assert_eq!(window.level(at(0)).remaining, 8);
    assert_eq!(window.give_back(&mut second, 3), 0);
    assert_eq!(window.give_back(&mut third, 9), 9);
    assert_eq!(window.give_back(&mut second, 2), 2);
    assert_eq!(window.level(at(0)).remaining, 19);
    assert_eq!(second.units(), 1);
}

#[test]
fn a_receipt_of_another_ring_gives_nothing_back() {
    let window = Window::new(4, 100, 4, at(0));
    let mut receipt = window.take(2, at(0)).unwrap();
    window.set(4, 100, at(0));
    assert_eq!(window.give_back(&mut receipt, 2), 0);
    assert_eq!(window.level(at(0)).remaining, 2);
}

#[test]
fn a_charge_is_owed_for_a_window_at_most() {
    let window = Window::new(5, 100, 5, at(0));
    assert!(window.take(5, at(0)).is_ok());
    window.charge(2, at(50));
    assert_eq!(
        window.level(at(100)),
        Level {
            remaining: 3,
            clear_after: 50
        }
    );
    window.charge(u32::MAX, at(100));
    assert_eq!(window.take(1, at(100)), Err(Wait::After(100)));
    assert_eq!(
        window.level(at(200)),
        Level {
            remaining: 5,
            clear_after: 0
        }
    );
}

#[test]
fn what_a_charge_has_taken_the_slot_of_is_not_forgotten() {
    let window = Window::new(20, 100, 2, at(0));
    assert!(window.take(10, at(0)).is_ok());
    assert!(window.take(10, at(10)).is_ok());
    window.charge(1, at(50));
    // The other nine of the first ten are still in the window, and then they are not.
    assert_eq!(window.take(1, at(50)), Err(Wait::After(50)));
    assert_eq!(window.level(at(99)).remaining, 0);
    assert_eq!(window.level(at(100)).remaining, 9);
    window.set(20, 100, at(50));
    assert_eq!(window.level(at(99)).remaining, 0);
    assert!((9..=10).contains(&window.level(at(110)).remaining));
}

#[test]
fn after_the_limit_is_lowered_nobody_gets_in_until_fewer_remain() {
    for slots in [1_000, BUCKETED] {
        let window = Window::new(1_000, 1_000, slots, at(0));
        for now in 0..500 {
            assert!(window.take(1, at(now)).is_ok());
        }
        window.set(100, 1_000, at(500));
        assert_eq!(window.limit(), 100);
        assert_eq!(window.level(at(500)).remaining, 0);
        // The newest hundred are of 400 to 499; up to sixteen to a slot leave together.
        assert!(window.take(1, at(1_399)).is_err());
        assert!(window.take(1, at(1_417)).is_ok());
        window.set(1_000, 1_000, at(1_417));
        assert!((900..=920).contains(&window.level(at(1_417)).remaining));
    }
}

#[test]
fn a_longer_window_holds_what_has_left_the_shorter_one() {
    let window = Window::new(3, 10, 8, at(0));
    assert!(window.take(1, at(0)).is_ok());
    assert!(window.take(1, at(5)).is_ok());
    window.set(3, 1_000, at(12));
    let level = window.level(at(505));
    assert_eq!((level.remaining, level.clear_after), (1, 500));
    assert_eq!(window.level(at(1_000)).remaining, 2);
}

/// 1000/min, then 10/s for a while, then 1000/min again: the window of the last minute is never above its limit.
// proves: RL-1
#[test]
fn a_window_that_was_shorter_meanwhile_forgets_nothing_of_a_longer_one() {
    const MINUTE: u64 = 60 * SECOND;
    for slots in [1_000, BUCKETED] {
        let window = Window::new(1_000, MINUTE, slots, at(0));
        assert!(window.take(1_000, at(0)).is_ok());
        window.set(10, SECOND, at(SECOND));
        assert_eq!(window.level(at(SECOND)).remaining, 10);
        window.set(1_000, MINUTE, at(3 * SECOND));
        assert_eq!(window.level(at(MINUTE - 1)).remaining, 0);
        assert_eq!(window.level(at(MINUTE)).remaining, 1_000);
    }
}

/// What the ring has forgotten under the shorter window is counted by the head, and taken to be as young as it can be.
// proves: RL-1
#[test]
fn what_came_in_a_shorter_window_counts_in_the_longer_one_after_it() {
    let window = Window::new(10, SECOND, 1_000, at(0));
    for second in 0..30 {
        assert!(window.take(10, at(second * SECOND)).is_ok());
    }
    window.set(1_000, 60 * SECOND, at(30 * SECOND));
    assert_eq!(window.level(at(30 * SECOND)).remaining, 700);
    // They have come ten a second, and so they leave.
    assert_eq!(window.level(at(60 * SECOND)).remaining, 710);
    assert!((850..=860).contains(&window.level(at(75 * SECOND)).remaining));
    assert_eq!(window.level(at(89 * SECOND)).remaining, 1_000);

    // A few that came long ago do not hold up anybody.
    let window = Window::new(10, SECOND, 1_000, at(0));
    for hour in 0..100 {
        assert!(window.take(1, at(hour * 3_600 * SECOND)).is_ok());
    }
    let now = 99 * 3_600 * SECOND;
    window.set(1_000, 60 * SECOND, at(now));
    assert!((909..=999).contains(&window.level(at(now)).remaining));
    assert_eq!(window.level(at(now + 60 * SECOND)).remaining, 1_000);
}

#[test]
fn lowering_the_limit_and_raising_it_again_forgets_nothing() {
    for slots in [1_000, BUCKETED] {
        let window = Window::new(1_000, 1_000, slots, at(0));
        for now in 0..5 {
            assert!(window.take(100, at(now * 100)).is_ok());
        }
        window.set(100, 1_000, at(500));
        window.set(1, 1_000, at(500));
        window.set(1_000, 1_000, at(500));
        assert_eq!(window.level(at(999)).remaining, 500);
        assert!((585..=600).contains(&window.level(at(1_099)).remaining));
    }
}

#[test]
fn what_is_too_small_or_too_large_is_as_small_or_large_as_possible() {
    let least = Window::new(0, 0, 0, at(0));
    assert_eq!((least.limit(), least.width()), (1, 1));
    assert!(least.take(1, at(0)).is_ok());
    assert_eq!(least.take(1, at(0)), Err(Wait::After(1)));
    assert!(least.take(1, at(1)).is_ok());
    let most = Window::new(u32::MAX, u64::MAX, u32::MAX, at(0));
    assert_eq!((most.limit(), most.width()), (u32::MAX, MOST_WIDTH));
    assert_eq!(most.slots.len(), MOST_SLOTS as usize);
    let coarse = Window::new(u32::MAX, u64::MAX, BUCKETED, at(0));
    assert_eq!(coarse.limit(), u32::MAX);
    assert!(coarse.take(u32::MAX, at(u64::MAX)).is_ok());
    assert!(coarse.take(1, at(u64::MAX)).is_err());
    coarse.charge(u32::MAX, at(u64::MAX));
    assert_eq!(coarse.level(at(0)).remaining, 0);
}

/// The rounds of the ring are counted in sixteen bits, and marked on the slots in two.
#[test]
fn the_rounds_of_the_ring_may_run_over() {
    let window = Window::new(3, 10, 2, at(0));
    for round in 0..200_000 {
        assert!(window.take(3, at(round * 10)).is_ok());
        assert_eq!(window.take(1, at(round * 10 + 9)), Err(Wait::After(1)));
    }
}

#[test]
fn the_generations_may_run_over() {
    let window = Window::new(3, 10, 3, at(0));
    assert!(window.take(2, at(0)).is_ok());
    for round in 0..1_000 {
        window.set(3 + round % 2, 10, at(9));
        assert_eq!(window.level(at(9)).remaining, 1 + round % 2);
    }
}
