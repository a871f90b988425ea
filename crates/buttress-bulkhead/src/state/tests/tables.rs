//! Single steps, by hand.

use std::time::Duration;

use buttress_core::Priority::{Background, Critical, High, Low, Normal};
use tokio::time::Instant;

use super::super::queue::Standing;
use super::super::{Call, Claim, Fate, NoPlace, Notice, PerClass, Slots, State, Terms, Turn};
use super::Who;
use super::desk::{Desk, LONG, PATIENCE};

// proves: PB-4
#[test]
fn the_higher_class_goes_first_and_the_first_of_a_class() {
    let classes = [
        Low, Critical, Low, Normal, Background, High, Critical, Normal,
    ];
    let (desk, keys) = Desk::with_queue(100, &classes);
    let mut order = Vec::new();
    let mut last = High;
    for _ in &classes {
        desk.give_back(last);
        let granted = desk.serve();
        let [id] = granted[..] else {
            panic!("one slot, and granted {granted:?}");
        };
        let index = usize::try_from(id).unwrap();
        assert!(matches!(desk.poll(keys[index]), Turn::Admitted { .. }));
        last = classes[index];
        order.push(id);
    }
    assert_eq!(order, [1, 6, 5, 3, 7, 0, 2, 4]);
    assert!(!desk.is_waited_for());
}

// proves: PB-2, PB-7
#[test]
fn a_full_queue_turns_out_the_newest_of_the_lowest_class_for_a_higher_one() {
    let table = [
        (vec![Low, Low, Normal], Normal, Ok(1)),
        (vec![Normal, Background, High], Low, Ok(1)),
        (
            vec![Normal, Low, Background],
            Background,
            Err(NoPlace::Full),
        ),
        (vec![Normal, High, Normal], Normal, Err(NoPlace::Full)),
        (vec![Critical, Critical], Critical, Err(NoPlace::Full)),
        (vec![High, High, High], Critical, Ok(2)),
        (vec![], Critical, Err(NoPlace::Full)),
    ];
    for (queue, newcomer, expected) in table {
        let capacity = u32::try_from(queue.len()).unwrap();
        let (mut desk, _) = Desk::with_queue(capacity, &queue);
        let (place, turned_out) = desk.join_for(newcomer, LONG, false);
        assert_eq!(
            place.map(|_| turned_out.unwrap()),
            expected.map(|id| (id, Fate::Displaced)),
            "{newcomer:?} comes to {queue:?}"
        );
        assert_eq!(
            turned_out.is_some(),
            expected.is_ok(),
            "no refusal costs others"
        );
    }
}

// proves: PB-7
#[test]
fn nobody_who_has_a_grant_is_displaced() {
    let (mut desk, keys) = Desk::with_queue(2, &[Low, Background]);
    desk.give_back(High);
    assert_eq!(desk.serve(), [0]);
    assert_eq!(
        desk.join_for(High, LONG, false).1,
        Some((1, Fate::Displaced))
    );
    assert_eq!(
        desk.join(High),
        Err(NoPlace::Full),
        "a grant and an equal are left"
    );
    assert!(matches!(desk.poll(keys[0]), Turn::Admitted { .. }));
    assert_eq!(desk.poll(keys[1]), Turn::Gone);
}

// proves: PB-2
#[test]
fn a_class_has_no_more_places_than_it_may_have() {
    let caps = PerClass::from_fn(|class| if class == Low { 2 } else { 9 });
    let mut desk = Desk::with_caps(1, 0, 9, caps);
    let keys = [(); 2].map(|()| desk.join(Low).unwrap());
    assert_eq!(desk.join(Low), Err(NoPlace::Full));
    assert_eq!(desk.serve(), [0]);
    assert_eq!(desk.join(Low), Err(NoPlace::Full), "a grant is a place");
    desk.now += PATIENCE;
    assert_eq!(desk.serve(), [1], "the other let it pass");
    assert_eq!(desk.join(Low), Err(NoPlace::Full), "its place is kept");
    assert!(desk.join(Background).is_ok(), "others have their own");
    let _ = desk.state.leave(keys[0]);
    assert_eq!(
        desk.state.slots.occupancy().in_flight(),
        1,
        "no slot goes with it"
    );
    assert!(desk.join(Low).is_ok());
}

// proves: PB-6
#[test]
fn reserved_slots_are_for_critical_calls_alone() {
    let mut desk = Desk::new(3, 1, 9);
    assert!(desk.take(Low).is_some() && desk.take(High).is_some());
    assert!(desk.take(High).is_none(), "the last one is kept");
    assert!(desk.join(High).is_ok() && desk.serve().is_empty());
    assert!(desk.take(Critical).is_none(), "somebody waits");
    assert_eq!(
        desk.state.take_before_lower(Normal),
        None,
        "a higher one waits"
    );
    assert_eq!(
        desk.state.take_before_lower(High),
        None,
        "one of its own waits"
    );
    assert!(desk.state.take_before_lower(Critical).is_some());
    assert!(desk.join(Critical).is_ok() && desk.serve().is_empty());
    desk.give_back(Low);
    assert_eq!(
        desk.serve(),
        [1],
        "one release is enough for a critical call"
    );
    desk.give_back(Critical);
    assert_eq!(desk.serve(), [0], "two of three may be others");
    assert!(desk.join(Low).is_ok());
    desk.give_back(Critical);
    assert!(desk.serve().is_empty(), "the last one is kept again");
}

// proves: PB-8
#[test]
fn a_grant_that_is_not_taken_up_goes_to_the_next() {
    let (mut desk, keys) = Desk::with_queue(9, &[Normal, Normal, Normal]);
    desk.give_back(High);
    assert_eq!(desk.serve(), [0]);
    desk.now += PATIENCE - 1;
    assert!(desk.serve().is_empty(), "it has its time");
    desk.now += 1;
    assert!(matches!(
        desk.state.serve(desk.now()),
        Some(Notice::Revoked(Normal))
    ));
    assert_eq!(desk.serve(), [1]);
    assert_eq!(desk.standing(keys[0]), Standing::PassedOver);
    assert_eq!(desk.poll(keys[0]), Turn::Served);
    assert_eq!(
        desk.poll(keys[0]),
        Turn::Waits(desk.start + Duration::from_millis(LONG))
    );
    let waited = Duration::from_millis(PATIENCE);
    assert_eq!(desk.poll(keys[1]), admitted(waited));
    desk.give_back(Normal);
    assert_eq!(desk.serve(), [0], "at its old place, before the third");
    assert_eq!(desk.state.classes().get(Normal).1.revoked, 1);
}

// proves: PB-8
#[test]
fn newcomers_do_not_wait_for_those_who_were_passed_over() {
    let (mut desk, keys) = Desk::with_queue(9, &[Critical]);
    desk.give_back(High);
    assert_eq!(desk.serve(), [0]);
    assert!(!desk.is_waited_for(), "the only one has a grant");
    desk.now += PATIENCE;
    assert!(desk.serve().is_empty());
    assert!(
        desk.take(Background).is_some(),
        "a free slot and nobody for it"
    );
    assert_eq!(desk.poll(keys[0]), Turn::Served);
    assert!(desk.is_waited_for());
}

// proves: PB-2, PB-8
#[test]
fn a_place_that_nobody_asks_for_any_more_is_free_for_a_newcomer() {
    let mut desk = Desk::new(2, 0, 3);
    let stalled =
        [Normal, Low].map(|class| desk.join_for(class, 2 * PATIENCE, class == Low).0.unwrap());
    assert_eq!(desk.serve(), [0, 1]);
    desk.now += PATIENCE;
    assert!(desk.serve().is_empty() && desk.join(Background).is_ok());
    desk.now += PATIENCE - 1;
    assert_eq!(
        desk.join_for(Background, LONG, false),
        (Err(NoPlace::Full), None)
    );
    desk.now += 1;
    let (place, turned_out) = desk.join_for(Background, LONG, false);
    assert_eq!(
        turned_out,
        Some((1, Fate::PastDeadline)),
        "the lowest first"
    );
    assert_eq!(
        desk.join_for(Background, LONG, false).1,
        Some((0, Fate::Expired))
    );
    assert!(place.is_ok());
    assert_eq!(stalled.map(|key| desk.poll(key)), [Turn::Gone; 2]);
    let classes = desk.state.classes();
    assert_eq!(
        [Normal, Low].map(|class| classes.get(class).1.expired),
        [1, 1]
    );
}

/// What a call is told that asks at `now`, and whose limit is 5; and whether it, or who was there before it, holds a slot.
fn ask_at(now: u64, granted: bool, is_deadline: bool) -> (Turn, bool) {
    let (mut desk, _) = Desk::with_queue(9, &[]);
    let key = desk.join_for(Low, 5, is_deadline).0.unwrap();
    if granted {
        desk.give_back(High);
        assert_eq!(desk.serve(), [0]);
    }
    desk.now = now;
    let turn = desk.poll(key);
    let still_queued = matches!(turn, Turn::Waits(_));
    assert_eq!(desk.state.classes().get(Low).0, u32::from(still_queued));
    (turn, desk.state.slots.occupancy().in_flight() == 1)
}

// proves: PB-2, PB-9
#[test]
fn nobody_starts_after_the_deadline_nor_waits_longer_than_may_be() {
    let admitted = admitted(Duration::ZERO);
    let expired = Turn::Over(Fate::Expired);
    let past_deadline = Turn::Over(Fate::PastDeadline);
    for is_deadline in [false, true] {
        assert_eq!(ask_at(4, true, is_deadline), (admitted, true));
        let (turn, _) = ask_at(4, false, is_deadline);
        assert!(matches!(turn, Turn::Waits(_)), "{turn:?}");
    }
    // Who was granted a slot within the longest wait has it.
    assert_eq!(ask_at(5, true, false), (admitted, true));
    assert_eq!(ask_at(5, true, true), (past_deadline, false));
    assert_eq!(ask_at(5, false, false), (expired, true));
    assert_eq!(ask_at(5, false, true), (past_deadline, true));
}

// proves: PB-9
#[test]
fn whose_time_is_over_is_turned_out_when_its_turn_comes() {
    let (mut desk, _) = Desk::with_queue(9, &[]);
    for is_deadline in [false, true] {
        assert!(desk.join_for(High, 5, is_deadline).0.is_ok());
    }
    assert!(desk.join(Low).is_ok());
    desk.now = 5;
    assert!(desk.state.serve(desk.now()).is_none(), "no slot, no turn");
    desk.give_back(High);
    let told = [(); 2].map(|()| match desk.state.serve(desk.now()) {
        Some(Notice::TurnedOut(who, fate)) => (who.id, fate, who.told()),
        notice => panic!("{notice:?}"),
    });
    let expected = [(0, Fate::Expired), (1, Fate::PastDeadline)];
    assert_eq!(told, expected.map(|(id, fate)| (id, fate, vec![fate])));
    assert_eq!(desk.serve(), [2]);
}

// proves: PB-1
#[test]
fn a_lower_limit_takes_nothing_away_and_a_higher_one_lets_in_at_once() {
    let (mut desk, keys) = Desk::with_queue(9, &[Low, Low, Low]);
    desk.state.slots.resize(3);
    assert_eq!(desk.serve(), [0, 1]);
    desk.state.slots.resize(1);
    assert!(desk.serve().is_empty());
    assert!(
        matches!(desk.poll(keys[0]), Turn::Admitted { .. }),
        "its grant stands"
    );
    desk.give_back(High);
    assert!(desk.serve().is_empty(), "two of one");
    desk.now += PATIENCE;
    desk.give_back(Low);
    assert_eq!(desk.serve(), [2], "the other let its grant pass");
}

// proves: PB-7
#[test]
fn a_shorter_queue_turns_out_the_newest_of_the_lowest() {
    let (desk, _) = Desk::with_queue(9, &[High, Low, High, Low, Critical, Normal]);
    desk.state.resize_queue(2);
    let told = std::iter::from_fn(|| desk.state.serve(desk.now()));
    let told = told.map(|notice| match notice {
        Notice::TurnedOut(who, Fate::Displaced) => who.id,
        notice => panic!("{notice:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), [3, 1, 5, 2]);
    desk.state.resize_queue(0);
    let displaced = std::iter::from_fn(|| desk.state.serve(desk.now())).count();
    assert_eq!((displaced, desk.is_waited_for()), (2, false));
}

#[test]
fn closing_turns_everybody_out_and_frees_what_was_granted() {
    let (mut desk, keys) = Desk::with_queue(9, &[Low, Critical, Normal, High]);
    desk.give_back(High);
    assert_eq!(desk.serve(), [1]);
    assert!(desk.state.slots.close() && !desk.state.slots.close());
    let mut told: Vec<u64> = std::iter::from_fn(|| desk.state.dismiss())
        .map(|notice| match notice {
            Notice::TurnedOut(who, Fate::Closed) if who.told() == [Fate::Closed] => who.id,
            notice => panic!("{notice:?}"),
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [0, 1, 2, 3]);
    assert_eq!(desk.state.slots.occupancy().in_flight(), 0);
    assert_eq!(
        keys.iter().map(|key| desk.poll(*key)).collect::<Vec<_>>(),
        [Turn::Gone; 4]
    );
    assert_eq!(desk.join(Critical), Err(NoPlace::Closed));
    desk.state.slots.resize(5);
    assert!(desk.take(Critical).is_none(), "closed for good");
}

// proves: PB-8
#[test]
fn who_leaves_gives_the_grant_back() {
    let (desk, keys) = Desk::with_queue(9, &[Low, Low]);
    desk.give_back(High);
    assert_eq!(desk.serve(), [0]);
    assert!(
        desk.state.leave(keys[1]),
        "perhaps it has watched over the grant"
    );
    assert_eq!(
        desk.state.slots.occupancy().in_flight(),
        1,
        "it only waited"
    );
    assert!(desk.state.leave(keys[0]), "somebody may have its slot");
    assert!(!desk.state.leave(keys[0]), "once");
    assert!(desk.take(Background).is_some() && !desk.is_waited_for());
}

// proves: PB-1, PB-9
#[test]
fn the_longest_times_are_no_trouble() {
    let terms = Terms {
        capacity: 9,
        caps: PerClass::from_fn(|_| 9),
        shares: PerClass::default(),
        patience: Duration::MAX,
    };
    let state: State<Who> = State::new(Slots::new(1, 0), terms);
    let start = Instant::now();
    let late = start + Duration::from_secs(60 * 60 * 24 * 365 * 30);
    let call = Call {
        priority: Normal,
        joined: late,
        limit: late + Duration::from_secs(1),
        deadline: Some(late + Duration::from_secs(1)),
    };
    let key = state.join(call, Who::new(0)).place.unwrap();
    assert!(matches!(state.serve(start), Some(Notice::Granted(..))));
    assert!(state.serve(late).is_none(), "patience without end");
    // Granted by a clock that was read before the call came.
    let turn = state.poll(key, || late);
    assert_eq!(turn, admitted(Duration::ZERO));
}

/// Made shorter while a call had a grant: when that passes, the call has no place to go back to.
// proves: PB-2
#[test]
fn a_grant_that_passes_after_the_queue_was_made_shorter_leaves_nobody_behind() {
    let (mut desk, keys) = Desk::with_queue(9, &[Low]);
    desk.give_back(High);
    assert_eq!(desk.serve(), [0]);
    desk.state.resize_queue(0);
    assert!(desk.serve().is_empty(), "its grant stands");
    desk.now += PATIENCE;
    assert!(desk.serve().is_empty());
    assert_eq!(desk.poll(keys[0]), Turn::Gone);
}

fn admitted(waited: Duration) -> Turn {
    Turn::Admitted {
        claim: Claim::ORDINARY,
        waited,
        others: false,
    }
}
