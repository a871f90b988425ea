//! The word against a naive model: a limit, two counts and three flags.

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::{Claim, MOST_CALLS, Slots};

#[derive(Clone, Debug, Default)]
struct Model {
    limit: u32,
    reserved: u32,
    ordinary: u32,
    top: u32,
    closed: bool,
    waited_for: bool,
    watched: bool,
}

impl Model {
    fn inside(&self) -> u32 {
        self.ordinary + self.top
    }

    fn has_room(&self, claim: Claim) -> bool {
        let has_slot = !self.closed && self.inside() < self.limit;
        let has_ordinary_slot = self.ordinary + self.reserved < self.limit;
        has_slot && (claim == Claim::TOP || has_ordinary_slot)
    }

    fn count(&mut self, claim: Claim) -> &mut u32 {
        if claim == Claim::TOP {
            &mut self.top
        } else {
            &mut self.ordinary
        }
    }

    fn take_before_others(&mut self, claim: Claim) -> bool {
        let has_room = self.has_room(claim);
        *self.count(claim) += u32::from(has_room);
        has_room
    }

    fn take(&mut self, claim: Claim) -> bool {
        !self.waited_for && self.take_before_others(claim)
    }

    fn tells_somebody(&self) -> bool {
        self.waited_for || self.watched
    }
}

const TO_BE_MET: [&str; 8] = [
    "full",
    "kept free for the top class",
    "the last free one for the top class",
    "waited for",
    "went before others",
    "closed",
    "shrunk",
    "drained",
];

/// Both, side by side, and how often the history has met what is to be met.
struct Pair {
    slots: Slots,
    model: Model,
    met: [bool; TO_BE_MET.len()],
}

impl Pair {
    fn new(limit: u32, reserved: u32) -> Self {
        let model = Model {
            limit,
            reserved,
            ..Model::default()
        };
        Self {
            slots: Slots::new(limit, reserved),
            model,
            met: [false; TO_BE_MET.len()],
        }
    }

    fn step(&mut self, random: &Random) {
        let is_top = random.next_u64().is_multiple_of(3);
        let claim = if is_top { Claim::TOP } else { Claim::ORDINARY };
        match random.next_u64() % 20 {
            0..8 => self.take(claim),
            8..10 => self.take_before_others(claim),
            10..14 => self.give_back(claim),
            14 => self.resize(1 + draw(random, 8)),
            15 if draw(random, 8) == 0 => self.close(),
            16 => self.wait_for(),
            17 => self.wait_no_more(),
            18 => self.watch(),
            19 => self.unwatch(),
            _ => {}
        }
    }

    fn take(&mut self, claim: Claim) {
        let before = self.model.clone();
        let taken = self.slots.take(claim);
        assert_eq!(
            taken.is_some(),
            self.model.take(claim),
            "{claim:?} from {before:?}"
        );
        if let Some(occupancy) = taken {
            assert_eq!(occupancy.in_flight(), self.model.inside());
        }
        let is_full = before.inside() >= before.limit;
        let is_open = !before.closed && !before.waited_for;
        let ordinary_is_full = !before.has_room(Claim::ORDINARY);
        self.met[0] |= is_open && is_full;
        self.met[1] |= is_open && !is_full && taken.is_none();
        self.met[2] |= taken.is_some() && ordinary_is_full;
        self.met[3] |= before.waited_for && before.has_room(claim);
        self.met[5] |= before.closed;
    }

    fn take_before_others(&mut self, claim: Claim) {
        let taken = self.slots.take_before_others(claim);
        assert_eq!(taken, self.model.take_before_others(claim));
        self.met[4] |= taken && self.model.waited_for;
    }

    fn give_back(&mut self, claim: Claim) {
        if *self.model.count(claim) == 0 {
            return;
        }
        let before = self.slots.give_back(claim);
        assert_eq!(before.in_flight(), self.model.inside());
        assert_eq!(before.concerns_somebody(), self.model.tells_somebody());
        *self.model.count(claim) -= 1;
        let last = self.model.watched && self.model.inside() == 0;
        assert_eq!(before.was_the_last_and_watched(), last);
        self.met[7] |= last;
    }

    fn resize(&mut self, limit: u32) {
        self.slots.resize(limit);
        self.model.limit = limit;
        self.met[6] |= limit < self.model.inside();
    }

    fn close(&mut self) {
        let was_open = !self.model.closed;
        assert_eq!(self.slots.close(), was_open);
        self.model.closed = true;
    }

    fn wait_for(&mut self) {
        self.slots.wait_for();
        self.model.waited_for = true;
    }

    fn wait_no_more(&mut self) {
        self.slots.wait_no_more();
        self.model.waited_for = false;
    }

    fn watch(&mut self) {
        assert_eq!(self.slots.watch().in_flight(), self.model.inside());
        self.model.watched = true;
    }

    fn unwatch(&mut self) {
        self.slots.unwatch();
        self.model.watched = false;
    }

    fn compare(&self) {
        let (model, occupancy) = (&self.model, self.slots.occupancy());
        let limit = if model.closed { 0 } else { model.limit };
        assert_eq!(occupancy.limit(), limit);
        assert_eq!(occupancy.in_flight(), model.inside());
        assert_eq!(occupancy.ordinary(), model.ordinary);
        assert_eq!(occupancy.is_waited_for(), model.waited_for);
        assert_eq!(occupancy.is_closed(), model.closed);
        assert_eq!(occupancy.concerns_somebody(), model.tells_somebody());
        assert_eq!(self.slots.configured(), model.limit);
        assert_eq!(self.slots.reserved(), model.reserved);
        for claim in [Claim::ORDINARY, Claim::TOP] {
            assert_eq!(self.slots.has_room_for(claim), model.has_room(claim));
        }
    }
}

fn draw(random: &Random, below: u64) -> u32 {
    u32::try_from(random.next_u64() % below).unwrap()
}

// proves: PB-1, PB-6
#[test]
fn the_word_agrees_with_the_naive_model_on_every_history() {
    let random = Random::seeded(seed());
    let histories = deep(2_000_u64, 200_000);
    let mut met = [0_u64; TO_BE_MET.len()];
    for _ in 0..histories {
        let mut pair = Pair::new(1 + draw(&random, 8), draw(&random, 4));
        for _ in 0..1 + random.next_u64() % 200 {
            pair.step(&random);
            pair.compare();
        }
        std::iter::zip(&mut met, pair.met).for_each(|(met, now)| *met += u64::from(now));
    }
    for (what, times) in std::iter::zip(TO_BE_MET, met) {
        println!("{what}: {times} of {histories} histories");
        assert!(times * 100 >= histories, "{what}: too few of them");
    }
}

// proves: PB-1
#[test]
fn the_widest_limit_leaves_the_flags_alone() {
    let slots = Slots::new(MOST_CALLS, 0);
    assert_eq!(slots.configured(), MOST_CALLS);
    slots.close();
    slots.wait_for();
    let _ = slots.watch();
    slots.resize(1);
    assert_eq!(slots.configured(), 1);
    assert!(slots.occupancy().is_closed());
    assert!(slots.occupancy().is_waited_for());
    slots.resize(MOST_CALLS);
    assert_eq!(
        (slots.configured(), slots.occupancy().in_flight()),
        (MOST_CALLS, 0)
    );
}

// proves: PB-1, PB-6
#[test]
fn the_fields_hold_as_many_calls_as_there_may_be() {
    const KEPT: u32 = 7;
    let slots = Slots::new(MOST_CALLS, KEPT);
    let _ = slots.watch();
    for inside in 1..=MOST_CALLS - KEPT {
        assert_eq!(slots.take(Claim::ORDINARY).unwrap().in_flight(), inside);
    }
    assert!(slots.take(Claim::ORDINARY).is_none());
    for _ in 0..KEPT {
        assert!(slots.take(Claim::TOP).is_some());
    }
    assert!(slots.take(Claim::TOP).is_none());
    let full = slots.occupancy();
    assert_eq!((full.limit(), full.in_flight()), (MOST_CALLS, MOST_CALLS));
    assert_eq!(full.ordinary(), MOST_CALLS - KEPT);
    assert!(!full.is_waited_for() && !full.is_closed());
    for _ in 0..MOST_CALLS - KEPT {
        assert!(!slots.give_back(Claim::ORDINARY).was_the_last_and_watched());
    }
    for left in (1..=KEPT).rev() {
        let before = slots.give_back(Claim::TOP);
        assert_eq!(before.was_the_last_and_watched(), left == 1);
    }
    assert_eq!(slots.occupancy().in_flight(), 0);
}

#[test]
fn a_claim_of_nothing_gives_nothing_back() {
    let slots = Slots::new(2, 1);
    assert!(slots.take(Claim::ORDINARY).is_some());
    let before = slots.occupancy();
    let _ = slots.give_back(Claim::NONE);
    assert_eq!(slots.occupancy(), before);
}
