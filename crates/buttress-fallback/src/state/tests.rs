use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

proptest! {
    // proves: FC-1
    #[test]
    fn a_walk_asks_each_place_once_and_in_order(places in 0_u8..=8, early in prop::collection::vec(0_u8..10, 0..4)) {
        let mut walk = Walk::of(places);
        // The naive model: a set.
        let mut model: BTreeSet<u8> = (0..places).collect();
        for place in early {
            prop_assert_eq!(walk.ask(place), model.take(&place));
        }
        while let Some(place) = walk.next() {
            prop_assert_eq!(Some(place), model.pop_first());
            prop_assert_eq!(walk.left() as usize, model.len() + 1);
        }
        prop_assert!(model.is_empty());
    }

    // proves: FC-1
    #[test]
    fn no_level_is_given_more_than_is_left(
        left in 0_u64..1_000_000,
        own in prop::option::of(0_u64..2_000_000),
        asked in 0_u8..8,
    ) {
        let (left, own) = (Duration::from_micros(left), own.map(Duration::from_micros));
        let mut walk = Walk::of(8);
        for _ in 0..=asked {
            walk.next();
        }
        let share = walk.share(left, own);
        prop_assert!(share <= left);
        match own {
            Some(own) => prop_assert_eq!(share, own.min(left)),
            // Those that are left, this one included.
            None => prop_assert_eq!(share, left / (8 - u32::from(asked))),
        }
    }
}

#[test]
fn a_share_ends_with_the_call() {
    let now = Instant::now();
    let mut times = Times::start(now, None, 3 * SECOND);
    let mut walk = Walk::of(3);
    let mut dues = Vec::new();
    let mut at = now;
    while walk.next().is_some() {
        times.ask(at, walk, None);
        dues.push(times.due - now);
        at = times.due;
    }
    assert_eq!(dues, [SECOND, 2 * SECOND, 3 * SECOND]);
    times.ask(at, walk, Some(Duration::MAX));
    assert_eq!(times.due, at, "nothing is left");
}

#[test]
fn the_callers_deadline_stays_the_callers() {
    let now = Instant::now();
    let mut walk = Walk::of(2);
    walk.next();
    for (deadline, is_callers) in [
        (Deadline::after(now, 4 * SECOND), true),
        (Deadline::after(now, 4 * SECOND).as_total(), false),
    ] {
        let mut times = Times::start(now, Some(deadline), SECOND);
        times.ask(now, walk, None);
        assert_eq!(times.due, now + 2 * SECOND);
        let told = times.told();
        assert_eq!(told.instant(), times.due);
        assert!(!told.is_callers(), "the share is a limit of ours");
        assert_eq!(told.callers().is_some(), is_callers);
        assert_eq!(times.is_callers(), is_callers);
        assert!(!times.is_over(now + 3 * SECOND) && times.is_over(now + 4 * SECOND));
    }
}

#[test]
fn any_time_is_safe() {
    let now = Instant::now();
    for total in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        for own in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
            let mut times = Times::start(now, None, total);
            times.ask(now, Walk::of(8), own);
            assert!(times.due >= now);
        }
    }
}
