//! The word against a naive model: a limit, a count and a flag.

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::Slots;

#[derive(Default)]
struct Model {
    limit: u32,
    inside: u32,
    closed: bool,
    watched: bool,
}

impl Model {
    fn try_take(&mut self) -> bool {
        if self.closed || self.inside >= self.limit {
            return false;
        }
        self.inside += 1;
        true
    }

    fn give_back(&mut self) -> bool {
        self.inside -= 1;
        self.watched && self.inside == 0
    }
}

/// Both, side by side, and what the history has met: full, closed, shrunk below those inside, drained.
struct Pair {
    slots: Slots,
    model: Model,
    met: [bool; 4],
}

impl Pair {
    fn new(limit: u32) -> Self {
        let model = Model {
            limit,
            ..Model::default()
        };
        Self {
            slots: Slots::new(limit),
            model,
            met: [false; 4],
        }
    }

    fn step(&mut self, random: &Random) {
        let Self { slots, model, met } = self;
        match random.next_u64() % 16 {
            0..8 => {
                let taken = slots.try_take();
                assert_eq!(taken, model.try_take());
                met[0] |= !taken && !model.closed;
                met[1] |= !taken && model.closed;
            }
            8..13 if model.inside > 0 => {
                let last = slots.give_back();
                assert_eq!(last, model.give_back());
                met[3] |= last;
            }
            13 => {
                model.limit = limit(random);
                slots.resize(model.limit);
                met[2] |= model.limit < model.inside;
            }
            14 if random.next_u64().is_multiple_of(8) => {
                model.closed = true;
                slots.close();
            }
            15 if model.watched => {
                model.watched = false;
                slots.unwatch();
            }
            15 => {
                model.watched = true;
                assert_eq!(slots.watch().in_flight(), model.inside);
            }
            _ => {}
        }
    }

    fn compare(&self) {
        let occupancy = self.slots.occupancy();
        assert_eq!(occupancy.in_flight(), self.model.inside);
        assert_eq!(self.slots.configured(), self.model.limit);
        assert_eq!(occupancy.is_closed(), self.model.closed);
    }
}

fn limit(random: &Random) -> u32 {
    u32::try_from(1 + random.next_u64() % 8).unwrap()
}

// proves: PB-1
#[test]
fn the_word_agrees_with_the_naive_model_on_every_history() {
    let random = Random::seeded(seed());
    let histories = deep(2_000_u64, 200_000);
    let mut met = [0_u64; 4];
    for _ in 0..histories {
        let mut pair = Pair::new(limit(&random));
        for _ in 0..1 + random.next_u64() % 200 {
            pair.step(&random);
            pair.compare();
        }
        std::iter::zip(&mut met, pair.met).for_each(|(met, now)| *met += u64::from(now));
    }
    println!("{histories} histories met: full, closed, shrunk, drained {met:?}");
    assert!(
        met.iter().all(|met| met * 100 >= histories),
        "the histories prove too little"
    );
}

#[test]
fn the_widest_limit_leaves_the_flags_alone() {
    let slots = Slots::new(super::MOST_CALLS);
    assert_eq!(slots.configured(), super::MOST_CALLS);
    slots.close();
    let _ = slots.watch();
    slots.resize(1);
    assert_eq!(slots.configured(), 1);
    assert!(slots.occupancy().is_closed());
    slots.resize(super::MOST_CALLS);
    assert_eq!(
        (slots.configured(), slots.occupancy().in_flight()),
        (super::MOST_CALLS, 0)
    );
}
