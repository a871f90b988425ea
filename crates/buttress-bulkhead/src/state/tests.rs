//! The word against a naive model: a limit, a count and a flag.

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::{Refusal, Slots};

#[derive(Default)]
struct Model {
    limit: u32,
    inside: u32,
    closed: bool,
    watched: bool,
}

impl Model {
    fn try_take(&mut self) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.inside >= self.limit {
            return Err(Refusal::Full);
        }
        self.inside += 1;
        Ok(())
    }

    fn give_back(&mut self) -> bool {
        self.inside -= 1;
        self.watched && self.inside == 0
    }
}

// proves: PB-1
#[test]
fn the_word_agrees_with_the_naive_model_on_every_history() {
    let random = Random::seeded(seed());
    let histories = deep(2_000_u64, 200_000);
    let (mut full, mut closed, mut shrunk, mut drained) = (0_u64, 0, 0, 0);
    for _ in 0..histories {
        let limit = u32::try_from(1 + random.next_u64() % 8).unwrap();
        let (slots, mut model) = (
            Slots::new(limit),
            Model {
                limit,
                ..Model::default()
            },
        );
        let mut met = [false; 4];
        for _ in 0..1 + random.next_u64() % 200 {
            match random.next_u64() % 16 {
                0..8 => {
                    let (taken, expected) = (slots.try_take(), model.try_take());
                    assert_eq!(taken, expected);
                    met[0] |= taken == Err(Refusal::Full);
                    met[1] |= taken == Err(Refusal::Closed);
                }
                8..13 if model.inside > 0 => {
                    let last = slots.give_back();
                    assert_eq!(last, model.give_back());
                    met[3] |= last;
                }
                13 => {
                    model.limit = u32::try_from(1 + random.next_u64() % 8).unwrap();
                    slots.resize(model.limit);
                    met[2] |= model.limit < model.inside;
                }
                14 if random.next_u64().is_multiple_of(8) => {
                    model.closed = true;
                    slots.close();
                }
                15 => {
                    model.watched = !model.watched;
                    let _ = if model.watched {
                        slots.watch()
                    } else {
                        slots.occupancy()
                    };
                    if !model.watched {
                        slots.unwatch();
                    }
                }
                _ => {}
            }
            let occupancy = slots.occupancy();
            assert_eq!(occupancy.in_flight(), model.inside);
            assert_eq!(occupancy.limit(), model.limit);
            assert_eq!(occupancy.is_closed(), model.closed);
        }
        full += u64::from(met[0]);
        closed += u64::from(met[1]);
        shrunk += u64::from(met[2]);
        drained += u64::from(met[3]);
    }
    println!(
        "{histories} histories met: full {full}, closed {closed}, shrunk {shrunk}, drained {drained}"
    );
    for met in [full, closed, shrunk, drained] {
        assert!(met * 100 >= histories, "the histories prove too little");
    }
}

#[test]
fn the_widest_limit_leaves_the_flags_alone() {
    let slots = Slots::new(super::MOST_CALLS);
    assert_eq!(slots.occupancy().limit(), super::MOST_CALLS);
    slots.close();
    let _ = slots.watch();
    slots.resize(1);
    assert_eq!(slots.occupancy().limit(), 1);
    assert!(slots.occupancy().is_closed());
    slots.resize(super::MOST_CALLS);
    assert_eq!(
        (slots.occupancy().limit(), slots.occupancy().in_flight()),
        (super::MOST_CALLS, 0)
    );
}
