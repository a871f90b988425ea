//! What threads do to each other, on one: calls that are interrupted after they have looked, or after they have stamped, while others
//! come, leave and owe, some of them with a clock they have read long ago. Random, but the same for the same seed, and checked exactly.

use std::collections::BTreeMap;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::super::{Head, Shape, Slot, Turn};
use super::{Receipt, Window, at};

/// A call that is under way.
struct Call {
    head: Head,
    units: u32,
    now: u64,
    stage: Stage,
}

enum Stage {
    Looked(Shape, Slot, u32),
    Stamped(Head),
}

/// A call that got in: what it has seen of the clock before and after, and what it holds.
struct Entry {
    before: u64,
    after: u64,
    receipt: Receipt,
}

struct History<'a> {
    random: &'a Random,
    window: Window,
    limit: u32,
    width: u64,
    now: u64,
    calls: Vec<Call>,
    entries: Vec<Entry>,
    met: BTreeMap<&'static str, u64>,
}

impl<'a> History<'a> {
    fn new(random: &'a Random) -> Self {
        let below = |bound: u64| random.next_u64() % bound;
        let limit = 1 + u32::try_from(below(8)).unwrap();
        let slots = 1 + u32::try_from(below(4)).unwrap();
        let width = 2 + below(30);
        Self {
            random,
            window: Window::new(limit, width, slots, at(0)),
            limit,
            width,
            now: below(40),
            calls: Vec::new(),
            entries: Vec::new(),
            met: BTreeMap::new(),
        }
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.random.next_u64() % bound as u64).unwrap()
    }

    fn meet(&mut self, what: &'static str) {
        self.met.insert(what, 1);
    }

    fn units(&self) -> u32 {
        1 + u32::try_from(self.below(self.limit as usize)).unwrap()
    }

    /// The time as somebody has read it now, or some time ago.
    fn read(&self) -> u64 {
        let ago = if self.below(3) == 0 {
            self.below(40)
        } else {
            0
        };
        self.now.saturating_sub(ago as u64)
    }

    fn begin(&mut self) {
        let (head, units, now) = (self.window.open_head(), self.units(), self.read());
        let (window, shape) = (&self.window, self.window.shape());
        let Ok(seen) = window.slot(head) else { return };
        let rest = window.rest(shape, head, seen, now);
        if units <= rest || window.look(shape, head, seen, units, now).is_ok() {
            let stage = Stage::Looked(shape, seen, rest);
            self.calls.push(Call {
                head,
                units,
                now,
                stage,
            });
        }
    }

    fn go_on(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let place = self.below(self.calls.len());
        let Call {
            head,
            units,
            now,
            stage,
        } = self.calls.swap_remove(place);
        match stage {
            Stage::Looked(shape, seen, rest) => {
                let from = (head, seen, rest);
                let stamped = (self.window).advance(shape, from, units, now, shape.frees());
                if let Ok(next) = stamped {
                    let stage = Stage::Stamped(next);
                    self.calls.push(Call {
                        head,
                        units,
                        now,
                        stage,
                    });
                } else {
                    self.meet("found something changed");
                }
            }
            Stage::Stamped(next) => {
                if self.window.exchange(head, next) {
                    self.meet("got in in steps");
                    self.enter(now, Receipt::new(next, units));
                } else {
                    self.meet("stamped in vain");
                }
            }
        }
    }

    fn enter(&mut self, before: u64, receipt: Receipt) {
        let after = self.now;
        self.entries.push(Entry {
            before,
            after,
            receipt,
        });
    }

    fn take(&mut self) {
        let (units, now) = (self.units(), self.read());
        if let Ok(receipt) = self.window.take(units, at(now)) {
            self.meet("got in at once");
            self.enter(now, receipt);
        }
    }

    fn give_back(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let newest = self.below(3) > 0;
        let last = self.entries.len() - 1;
        let place = if newest { last } else { self.below(last + 1) };
        let receipt = &mut self.entries[place].receipt;
        let units = receipt.units();
        if self.window.give_back(receipt, units) > 0 {
            self.meet("gave back");
        }
        if self.entries[place].receipt.units() == 0 {
            self.entries.swap_remove(place);
        }
    }

    fn step(&mut self) {
        match self.below(16) {
            0..3 => self.begin(),
            3..8 => self.go_on(),
            8..10 => self.take(),
            10..12 => self.give_back(),
            12 if self.below(8) == 0 => self.window.charge(self.units(), at(self.read())),
            13 if self.below(4) == 0 => self.now += self.width,
            _ => self.now += self.below(4) as u64,
        }
        let head = self.window.open_head();
        let next = head.next(self.window.shape().slots());
        if self
            .window
            .slot(next)
            .is_ok_and(|slot| slot.turn(next) == Turn::Later)
        {
            self.meet("went back before a slot that was started anew");
        }
    }

    /// Of the calls that lie in a window as a whole there are never more than the limit.
    fn no_window_has_too_many(&mut self) {
        self.entries.sort_by_key(|entry| entry.before);
        for (place, first) in self.entries.iter().enumerate() {
            let end = first.before + self.width;
            let inside = self.entries[place..]
                .iter()
                .filter(|entry| entry.after < end);
            let units: u32 = inside.map(|entry| entry.receipt.units()).sum();
            assert!(
                units <= self.limit,
                "{units} of {} from {}",
                self.limit,
                first.before
            );
        }
    }

    /// Whatever has happened, a window later all of it is there again.
    fn nothing_is_lost(&self) {
        let later = at(self.now + self.width);
        let level = self.window.level(later);
        assert_eq!((level.remaining, level.clear_after), (self.limit, 0));
        assert!(self.window.take(self.limit, later).is_ok());
        assert!(self.window.take(1, later).is_err());
    }
}

const TO_BE_MET: [&str; 6] = [
    "found something changed",
    "got in in steps",
    "stamped in vain",
    "got in at once",
    "gave back",
    "went back before a slot that was started anew",
];

// proves: RL-1
#[test]
fn calls_that_are_interrupted_anywhere_keep_to_the_limit() {
    let random = Random::seeded(seed());
    let histories = deep(20_000_u64, 2_000_000);
    let mut met = BTreeMap::new();
    for _ in 0..histories {
        let mut history = History::new(&random);
        for _ in 0..random.next_u64() % 150 {
            history.step();
        }
        history.no_window_has_too_many();
        history.nothing_is_lost();
        (history.met.into_iter()).for_each(|(what, once)| *met.entry(what).or_default() += once);
    }
    println!("{histories} histories met: {met:?}");
    for what in TO_BE_MET {
        let times: u64 = met.get(what).copied().unwrap_or(0);
        assert!(times * 100 >= histories, "{what}: only {times}");
    }
}

/// Somebody finds the slot in use free to be used anew; before it does so, somebody else takes what is left of it, with an older
/// time.
// proves: RL-1
#[test]
fn a_late_unit_is_seen_by_whoever_uses_its_slot_anew() {
    let random = Random::seeded(1);
    let mut history = History::new(&random);
    history.window = Window::new(2, 100, 1, at(0));
    history.limit = 2;
    assert!(history.window.take(1, at(0)).is_ok());
    let head = history.window.open_head();
    let shape = history.window.shape();
    let seen = history.window.slot(head).ok().unwrap();
    assert!(history.window.look(shape, head, seen, 1, 100).is_ok());
    assert!(history.window.take(1, at(50)).is_ok());
    let (units, now, stage) = (1, 100, Stage::Looked(shape, seen, 0));
    history.calls.push(Call {
        head,
        units,
        now,
        stage,
    });
    history.go_on();
    assert!(history.met.contains_key("found something changed"));
    assert!(history.window.take(1, at(149)).is_err());
    assert!(history.window.take(2, at(150)).is_ok());
}
