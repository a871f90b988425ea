//! Single steps.

use std::time::Duration;

use buttress_timer::Moment;

use super::super::{Arrival, Call, Fate, Key, Line, Step, Supply, Turn};
use super::{MILLI, Tap, Who};

const LONG: u64 = 1_000;
const FOREVER: Moment = Moment::from_nanos(u64::MAX);

/// A line before a tap, and a clock in milliseconds. Calls are numbered as they come.
struct Desk {
    line: Line<Who>,
    tap: Tap,
    now: u64,
    arrivals: u64,
}

fn at(milliseconds: u64) -> Moment {
    Moment::from_nanos(milliseconds * MILLI)
}

impl Desk {
    /// One unit every 20 ms, and none left.
    fn new(capacity: u32) -> Self {
        let tap = Tap::new(20, 1);
        assert!(tap.take(1, at(0)).is_ok());
        Self {
            line: Line::new(capacity),
            tap,
            now: 0,
            arrivals: 0,
        }
    }

    fn with(calls: u64) -> (Self, Vec<Key>) {
        let mut desk = Self::new(500);
        let keys = (0..calls).map(|_| desk.join()).collect();
        (desk, keys)
    }

    fn now(&self) -> Moment {
        at(self.now)
    }

    fn call(&self, longest_wait: u64, deadline: Option<u64>) -> Call {
        let longest = at(self.now + longest_wait);
        let deadline = deadline.map(at);
        Call {
            units: 1,
            joined: self.now(),
            limit: deadline.map_or(longest, |deadline| deadline.min(longest)),
            deadline,
        }
    }

    fn arrive(&mut self, call: Call) -> Arrival<u32, Who> {
        let who = Who::new(self.arrivals);
        self.arrivals += 1;
        self.line.arrive(call, false, &self.tap, || who)
    }

    fn join(&mut self) -> Key {
        match self.arrive(self.call(LONG, None)) {
            Arrival::Waits { key, .. } => key,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&mut self, call: Call) -> Option<Fate> {
        match self.arrive(call) {
            Arrival::Refused(fate) => Some(fate),
            _ => None,
        }
    }

    fn poll(&self, key: Key) -> Turn<u32> {
        self.line.poll(key, self.now(), &self.tap)
    }

    fn step(&self) -> Step<Who> {
        self.line.step(self.now(), &self.tap)
    }

    /// Steps to the end, and tells who was called.
    fn called(&self) -> Vec<u64> {
        let mut called = Vec::new();
        loop {
            match self.step() {
                Step::Call(who) => called.push(who.id),
                Step::TurnOut(..) => {}
                Step::Watch(_) => return called,
            }
        }
    }

    fn watched(&self) -> [Option<(u64, u64)>; 3] {
        match self.step() {
            Step::Watch(watchers) => {
                watchers.map(|watcher| watcher.map(|(who, due)| (who.id, due.nanos() / MILLI)))
            }
            other => panic!("{other:?}"),
        }
    }
}

// proves: RL-4
#[test]
fn whoever_leaves_leaves_no_hole() {
    let (mut desk, keys) = Desk::with(5);
    assert_eq!(
        desk.watched(),
        [Some((0, 20)), Some((1, 30)), Some((4, 30))]
    );
    for leaver in [1, 3] {
        assert!(desk.line.leave(keys[leaver]));
    }
    for (index, due) in [(0, 20), (2, 40), (4, 60)] {
        desk.now = due - 1;
        assert_eq!(
            (desk.called(), desk.poll(keys[index])),
            (vec![], Turn::Waits)
        );
        desk.now = due;
        assert_eq!(desk.called(), [index as u64]);
        assert_eq!(desk.poll(keys[index]), Turn::Admitted(1));
    }
    assert!(desk.line.is_empty());
}

#[test]
fn a_turn_is_known_to_the_tick() {
    let (mut desk, _) = Desk::with(3);
    let turn = Some(at(80));
    let too_short = desk.call(79, None);
    assert_eq!(desk.refusal(too_short), Some(Fate::Expired { turn }));
    let too_early = desk.call(LONG, Some(80));
    assert_eq!(desk.refusal(too_early), Some(Fate::PastDeadline));
    let in_time = desk.call(80, Some(81));
    assert!(matches!(desk.arrive(in_time), Arrival::Waits { turn: known, .. } if known == turn));
}

#[test]
fn a_call_that_may_not_wait_is_told_when_it_would_have_been_its_turn() {
    let mut desk = Desk::new(0);
    let turn = Some(at(20));
    assert_eq!(
        desk.refusal(desk.call(0, None)),
        Some(Fate::Expired { turn })
    );
    assert_eq!(
        desk.refusal(desk.call(LONG, None)),
        Some(Fate::Full { turn })
    );
    desk.now = 20;
    assert!(matches!(
        desk.arrive(desk.call(0, None)),
        Arrival::Admitted(1)
    ));
}

#[test]
fn where_nobody_can_tell_only_the_first_has_a_known_turn() {
    let mut desk = Desk::new(500);
    desk.tap.tells = false;
    let short = desk.call(19, None);
    assert_eq!(
        desk.refusal(short),
        Some(Fate::Expired { turn: Some(at(20)) })
    );
    desk.join();
    assert_eq!(
        desk.refusal(desk.call(0, None)),
        Some(Fate::Expired { turn: None })
    );
    assert_eq!(desk.refusal(short), None);
}

#[test]
fn nobody_overtakes_those_who_wait_but_what_costs_nothing() {
    let (desk, _) = Desk::with(1);
    let now = at(500);
    let turn = Some(at(520));
    assert!(!desk.line.is_empty());
    assert_eq!(
        desk.line.admit(1, now, &desk.tap),
        Err(Fate::Expired { turn })
    );
    assert_eq!(desk.line.admit(0, now, &desk.tap), Ok(0));
    assert_eq!(desk.line.admit(2, now, &desk.tap), Err(Fate::NeverFits));
}

// proves: A-1
#[test]
fn one_that_leaves_between_its_call_and_its_poll_lets_the_next_be_called() {
    let (mut desk, keys) = Desk::with(3);
    desk.now = 20;
    assert_eq!(desk.called(), [0]);
    assert!(desk.line.leave(keys[0]));
    assert!(desk.line.leave(keys[0]), "again: nothing happens");
    assert_eq!(desk.called(), [1]);
    assert_eq!(desk.poll(keys[0]), Turn::Gone);
    assert_eq!(desk.poll(keys[1]), Turn::Admitted(1));
    assert_eq!(desk.watched(), [Some((2, 40)), None, None]);
}

// proves: A-5
#[test]
fn one_that_does_not_come_is_passed_over_and_keeps_its_place() {
    let (mut desk, keys) = Desk::with(3);
    desk.now = 20;
    assert_eq!(desk.called(), [0]);
    assert_eq!(desk.watched(), [None, Some((1, 30)), Some((2, 30))]);
    desk.now = 29;
    assert_eq!(desk.poll(keys[1]), Turn::Waits);
    desk.now = 30;
    assert_eq!(desk.called(), [1]);
    assert_eq!(desk.poll(keys[1]), Turn::Admitted(1));
    assert_eq!(desk.line.waiting(), 2);
    desk.now = 49;
    assert_eq!(desk.poll(keys[0]), Turn::Waits);
    assert_eq!(desk.watched()[0], Some((0, 50)), "first again");
    desk.now = 50;
    assert_eq!(desk.poll(keys[0]), Turn::Admitted(1));
}

// proves: A-5
#[test]
fn one_that_nobody_polls_is_in_nobodys_way_even_alone() {
    let (mut desk, keys) = Desk::with(1);
    desk.now = 100;
    assert_eq!(desk.called(), [0]);
    desk.now = 110;
    assert_eq!(desk.called(), []);
    assert!(desk.line.is_empty());
    assert_eq!(desk.line.waiting(), 1);
    let newcomer = desk.call(0, None);
    assert!(matches!(desk.arrive(newcomer), Arrival::Admitted(1)));
    assert_eq!(desk.poll(keys[0]), Turn::Waits);
    assert!(!desk.line.is_empty());
}

#[test]
fn calls_that_prove_to_come_late_get_longer() {
    let (mut desk, keys) = Desk::with(2);
    desk.now = 20;
    assert_eq!(desk.called(), [0]);
    desk.now = 30;
    assert_eq!(desk.called(), [1]);
    desk.now = 35;
    assert_eq!(desk.poll(keys[0]), Turn::Admitted(1), "15 ms late");
    desk.now = 55;
    assert_eq!(desk.called(), [1]);
    assert_eq!(desk.watched(), [None; 3]);
    let next = desk.join();
    assert_eq!(desk.watched()[1], Some((2, 75)), "20 ms from now on");
    desk.now = 74;
    assert_eq!(desk.poll(next), Turn::Waits);
    assert_eq!(desk.poll(keys[1]), Turn::Admitted(1));
}

#[test]
fn whoever_cannot_wake_itself_is_called_by_the_next() {
    let (mut desk, _) = Desk::with(1);
    desk.join();
    let Step::Watch([Some((first, _)), ..]) = desk.step() else {
        panic!("the first watches");
    };
    first.able.set(false);
    assert_eq!(desk.watched(), [Some((0, 20)), Some((1, 20)), None]);
    desk.now = 20;
    assert_eq!(desk.called(), [0]);
    assert_eq!(desk.watched(), [None, Some((1, 30)), None]);
}

#[test]
fn a_change_of_the_rate_moves_the_first_both_ways() {
    let (mut desk, keys) = Desk::with(2);
    for (interval, due) in [(100, 100), (4, 4)] {
        desk.tap.change(interval, 1, 0);
        assert_eq!(desk.watched()[0], Some((0, due)));
    }
    desk.now = 4;
    assert_eq!(desk.called(), [0]);
    desk.tap.change(2_000, 1, 4 * MILLI);
    assert_eq!(desk.poll(keys[0]), Turn::Admitted(1));
    let Step::TurnOut(who, fate) = desk.step() else {
        panic!("its turn comes after its longest wait");
    };
    let turn = Some(at(2_004));
    assert_eq!((who.id, fate), (1, Fate::Expired { turn }));
    assert_eq!(desk.poll(keys[1]), Turn::Gone);
}

#[test]
fn what_fits_no_more_goes_at_once() {
    let mut desk = Desk::new(10);
    desk.tap.change(20, 5, 0);
    let heavy = Call {
        units: 5,
        ..desk.call(LONG, None)
    };
    assert!(matches!(desk.arrive(heavy), Arrival::Waits { .. }));
    desk.join();
    desk.tap.change(20, 4, 0);
    assert!(matches!(desk.step(), Step::TurnOut(_, Fate::NeverFits)));
    assert_eq!(desk.called(), [1]);
}

#[test]
fn those_whose_wait_is_over_make_room() {
    let mut desk = Desk::new(1);
    desk.arrive(desk.call(30, None));
    desk.now = 31;
    let Arrival::Waits { turned_out, .. } = desk.arrive(desk.call(LONG, None)) else {
        panic!("there is room");
    };
    let (gone, fate) = turned_out.unwrap();
    assert_eq!((gone.id, gone.fate.get()), (0, Some(fate)));
    assert!(matches!(fate, Fate::Expired { .. }));
}

#[test]
fn what_is_there_is_given_to_the_first_even_after_its_longest_wait_but_not_after_its_deadline() {
    for (deadline, turn) in [
        (None, Turn::Admitted(1)),
        (Some(30), Turn::Over(Fate::PastDeadline)),
    ] {
        let mut desk = Desk::new(1);
        let Arrival::Waits { key, .. } = desk.arrive(desk.call(30, deadline)) else {
            panic!("there is room");
        };
        desk.now = 31;
        assert_eq!(desk.poll(key), turn);
        assert_eq!(desk.line.waiting(), 0);
    }
}

// proves: A-18
#[test]
fn closed_it_lets_nobody_in_any_more() {
    let (mut desk, keys) = Desk::with(3);
    assert!(!desk.line.is_closed());
    assert!(desk.line.close());
    assert!(!desk.line.close());
    assert_eq!(desk.poll(keys[1]), Turn::Over(Fate::Closed));
    let gone: Vec<_> = std::iter::from_fn(|| desk.line.dismiss()).collect();
    assert_eq!(gone.iter().map(|who| who.id).collect::<Vec<_>>(), [0, 2]);
    assert!(gone.iter().all(|who| who.fate.get() == Some(Fate::Closed)));
    assert_eq!(desk.poll(keys[0]), Turn::Gone);
    assert!(desk.line.is_closed() && !desk.line.is_empty());
    desk.now = 500;
    assert_eq!(desk.refusal(desk.call(LONG, None)), Some(Fate::Closed));
    assert_eq!(desk.line.admit(1, desk.now(), &desk.tap), Err(Fate::Closed));
}

// proves: A-8
#[test]
fn any_time_and_any_size_has_a_defined_answer() {
    let mut desk = Desk::new(u32::MAX);
    let tap = Tap::new(1, u32::MAX);
    let extremes = [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX];
    for now in extremes.map(Moment::from_nanos) {
        for wait in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            for units in [0, 1, u32::MAX] {
                let call = Call {
                    units,
                    joined: now,
                    limit: now.plus(wait),
                    deadline: Some(FOREVER),
                };
                let who = Who::new(0);
                if let Arrival::Waits { key, .. } = desk.line.arrive(call, true, &tap, || who) {
                    let _ = desk.line.step(FOREVER, &tap);
                    let _ = desk.line.poll(key, now, &tap);
                    desk.line.shorten(key, Moment::START);
                    let _ = desk.line.poll(key, Moment::START, &tap);
                    let _ = desk.line.step(now, &tap);
                }
            }
        }
    }
    desk.now = 10;
    while desk.line.waiting() > 0 {
        let _ = desk.line.close();
        let _ = desk.line.dismiss();
    }
}
