//! Random histories: a window with a slot for each unit must decide as a log of all units does; one with coarse slots must never be
//! above the limit, and at most one slot's units, less one, below.

use std::cell::RefCell;
use std::collections::BTreeMap;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::model::{Answer, Model};
use super::{BUCKETED, Receipt, Wait, Window, at, gap, twin, units_of_a_slot};

#[derive(Clone, Debug)]
enum Step {
    Take(u32),
    /// Take again and again until refused.
    Fill(u32),
    GiveBack {
        which: usize,
        units: u32,
    },
    GiveBackNewest(u32),
    Charge(u32),
    Wait(u64),
    /// The whole wait of the last refusal, one nanosecond less, or one more.
    WaitAsTold(i64),
    /// The whole window, or nearly.
    WaitTheWidth(i64),
    Set(u32, u64),
}

fn width() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(1), 3 => 1_u64..20, 3 => 1_u64..1_000, 2 => 1_u64..60_000_000_000]
}

fn units() -> impl Strategy<Value = u32> {
    prop_oneof![8 => Just(1), 6 => 0_u32..5, 2 => 0_u32..40]
}

fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        6 => 0_u64..4,
        4 => 0_u64..300,
        3 => 0_u64..20_000_000_000,
        1 => 0_u64..1 << 50,
    ]
}

fn step(most: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => units().prop_map(Step::Take),
        2 => units().prop_map(Step::Fill),
        4 => (any::<usize>(), units()).prop_map(|(which, units)| Step::GiveBack { which, units }),
        4 => units().prop_map(Step::GiveBackNewest),
        1 => units().prop_map(Step::Charge),
        8 => wait().prop_map(Step::Wait),
        5 => (-1_i64..=1).prop_map(Step::WaitAsTold),
        2 => (-1_i64..=1).prop_map(Step::WaitTheWidth),
        1 => (1..=most, width()).prop_map(|(limit, width)| Step::Set(limit, width)),
    ]
}

/// Machine and model side by side, and what the history has met.
struct Pair {
    window: Window,
    model: Model,
    slots: u32,
    /// Whether each unit has a slot, whatever is set.
    exact: bool,
    /// Whether a debt was forgiven, because the limit was changed: then more may be in the window than the limit says.
    in_debt: bool,
    /// Whether one was, in a window that is over: a longer one may reach back to it.
    was_in_debt: bool,
    forgiven: bool,
    /// Whether units count that the ring had forgotten, because the window is longer than one that they have left: then nobody
    /// knows when they came, and they stay too long rather than leave too early. When that window came into force.
    remembered: Option<u64>,
    /// How many units may be held that have left the window: less than a slot's, and as many of each earlier layout of the ring.
    slack: u32,
    now: u64,
    told: u64,
    calls: Vec<Receipt>,
    met: BTreeMap<&'static str, u64>,
}

impl Pair {
    fn new(limit: u32, width: u64, slots: u32, exact: bool) -> Self {
        Self {
            window: Window::new(limit, width, slots, at(0)),
            model: Model::new(limit, width, exact),
            slots,
            exact,
            in_debt: false,
            was_in_debt: false,
            forgiven: false,
            remembered: None,
            slack: units_of_a_slot(limit, slots) - 1,
            now: 0,
            told: 0,
            calls: Vec::new(),
            met: BTreeMap::new(),
        }
    }

    fn meet(&mut self, what: &'static str) {
        self.met.insert(what, 1);
    }

    fn take(&mut self, units: u32) -> bool {
        let check = self.window.check(units, at(self.now));
        let answer = self.window.take(units, at(self.now));
        assert_eq!(check, answer.map(drop));
        let expected = self.model.would_take(units, self.now);
        match answer {
            Ok(receipt) => {
                assert!(expected == Answer::Taken || self.forgiven, "{units}");
                self.model.push(units, self.calls.len(), self.now);
                self.calls.push(receipt);
                if units > 0 && self.model.inside(self.now) == self.model.limit {
                    self.meet("took the last one");
                }
                if units > 1 {
                    self.meet("took several");
                }
                true
            }
            Err(Wait::After(wait)) => {
                self.refused(units, wait, &expected);
                self.told = wait;
                false
            }
            Err(Wait::Never) => {
                assert_eq!(expected, Answer::Never);
                self.meet("never fits");
                false
            }
        }
    }

    fn refused(&mut self, units: u32, wait: u64, expected: &Answer) {
        if self.is_remembering() {
            if *expected == Answer::Taken {
                self.meet("remembered too long");
            }
        } else if self.exact {
            assert_eq!(*expected, Answer::Refused(wait), "{units}");
        } else if !self.forgiven {
            let held = self.model.inside(self.now) + self.slack;
            assert!(held + units > self.model.limit, "{held} + {units}");
            if *expected == Answer::Taken {
                self.meet("held too long");
            }
        }
        self.meet("refused");
        self.the_wait_is_exact(units, wait);
    }

    /// Whether units may stay too long: none longer than if it had come when the window was made longer.
    fn is_remembering(&self) -> bool {
        let width = self.model.width;
        self.remembered
            .is_some_and(|since| self.now < since + width)
    }

    fn the_wait_is_exact(&self, units: u32, wait: u64) {
        assert!(wait > 0);
        let earlier = self.window.take(units, at(self.now + wait - 1));
        assert_eq!(earlier.unwrap_err(), Wait::After(1));
        let twin = twin(&self.window);
        assert!(twin.take(units, at(self.now + wait)).is_ok());
    }

    fn give_back(&mut self, which: usize, units: u32) {
        let Some(receipt) = self.calls.get_mut(which) else {
            return;
        };
        let held = receipt.units();
        let given = self.window.give_back(receipt, units);
        assert!(given <= held.min(units));
        assert_eq!(receipt.units(), held - given);
        if self.exact {
            assert_eq!(given, self.model.give_back_newest(which, units.min(held)));
        } else {
            self.model.give_back_any(which, given);
        }
        if given > 0 {
            self.meet("given back");
        } else if held > 0 && units > 0 {
            self.meet("could not be given back");
        }
        if given > 1 {
            self.meet("several given back");
        }
    }

    fn charge(&mut self, units: u32) {
        let has_room = self.window.check(units, at(self.now)).is_ok();
        self.window.charge(units, at(self.now));
        let units = units.min(self.model.limit);
        self.model.push(units, usize::MAX, self.now);
        if !has_room {
            self.in_debt = true;
            self.meet("in debt");
        }
    }

    fn set(&mut self, limit: u32, width: u64) {
        let inside = self.model.inside(self.now);
        let head = self.window.open_head();
        let rounds = self.window.changing.lock().rounds;
        let rounds = rounds.until(head, self.model.width, self.now);
        let uncounted = rounds.count().is_none();
        self.window.set(limit, width, at(self.now));
        self.slack += units_of_a_slot(limit, self.slots) - 1;
        self.model.set(limit, width, self.now);
        let merged = {
            let past = self.window.changing.lock();
            past.older.iter().any(|group| group.oldest < group.time)
        };
        self.model.narrowest = if merged || uncounted {
            0
        } else {
            self.model.narrowest
        };
        let reaches_back = width > self.model.narrowest;
        self.remembered = if reaches_back {
            Some(self.now)
        } else {
            self.remembered
        };
        self.forgiven |= self.in_debt || self.was_in_debt && reaches_back;
        if limit < inside {
            self.meet("more spent than fits");
        } else if limit > inside && inside > 0 {
            self.meet("set while used");
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Take(units) => drop(self.take(units)),
            Step::Fill(units) => while units > 0 && self.take(units) {},
            Step::GiveBack { which, units } => {
                let calls = self.calls.len().max(1);
                self.give_back(which % calls, units);
            }
            Step::GiveBackNewest(units) => self.give_back(self.calls.len().wrapping_sub(1), units),
            Step::Charge(units) => self.charge(units),
            Step::Wait(nanos) => self.now += nanos,
            Step::WaitAsTold(more) => {
                let told = std::mem::take(&mut self.told);
                self.now += told.saturating_add_signed(more);
            }
            Step::WaitTheWidth(more) => self.now += self.model.width.saturating_add_signed(more),
            Step::Set(limit, width) => self.set(limit, width),
        }
    }

    fn compare(&mut self) {
        let (window, now) = (&self.window, at(self.now));
        assert_eq!(
            (window.limit(), window.width()),
            (self.model.limit, self.model.width)
        );
        let level = window.level(now);
        let inside = self.model.inside(self.now);
        // What the level says is what could be taken.
        assert!(window.check(level.remaining, now).is_ok());
        assert!(window.check(level.remaining + 1, now).is_err());
        assert_eq!(window.is_clean(now), level.clear_after == 0);
        assert!(level.clear_after > 0 || level.remaining == self.model.limit);
        if self.exact && self.is_remembering() {
            assert!(level.remaining <= self.model.limit.saturating_sub(inside) || self.forgiven);
            assert!(level.clear_after >= self.model.clear_after(self.now) || self.forgiven);
        } else if self.exact {
            assert_eq!(level.remaining, self.model.limit.saturating_sub(inside));
            assert_eq!(level.clear_after, self.model.clear_after(self.now));
        } else {
            assert!(self.forgiven || level.clear_after >= self.model.clear_after(self.now));
        }
        if level.clear_after == 0 {
            self.was_in_debt |= self.in_debt;
            (self.in_debt, self.forgiven, self.remembered) = (false, false, None);
            self.slack = units_of_a_slot(self.model.limit, self.slots) - 1;
            self.meet("clean");
        }
    }
}

fn run<S: Strategy<Value = (Pair, Vec<Step>)>>(histories: S, to_be_met: &[&str])
where
    S::Value: std::fmt::Debug,
{
    let cases = deep(3_000_u32, 200_000);
    let seed = seed();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(); 4].concat());
    let settings = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let met: RefCell<BTreeMap<&str, u64>> = RefCell::default();
    let mut runner = TestRunner::new_with_rng(settings, rng);
    let outcome = runner.run(&histories, |(mut pair, steps)| {
        for step in &steps {
            pair.step(step);
            pair.compare();
        }
        let mut met = met.borrow_mut();
        (pair.met.into_iter()).for_each(|(what, once)| *met.entry(what).or_default() += once);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("seed {seed}: {error}");
    }
    let met = met.into_inner();
    println!("{cases} histories met: {met:?}");
    for what in to_be_met {
        let times = met.get(what).copied().unwrap_or(0);
        assert!(
            times * 100 >= u64::from(cases),
            "{what}: only {times} of {cases} histories"
        );
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Model { limit, width, .. } = self.model;
        write!(f, "{limit} in {width} by {} slots", self.slots)
    }
}

/// Everything that at least one history in a hundred must have met, or the test proves too little.
const TO_BE_MET: [&str; 12] = [
    "took the last one",
    "took several",
    "refused",
    "never fits",
    "given back",
    "several given back",
    "could not be given back",
    "in debt",
    "more spent than fits",
    "set while used",
    "remembered too long",
    "clean",
];

// proves: RL-1, RL-3
#[test]
fn an_exact_window_decides_as_a_log_of_all_units_does() {
    const MOST: u32 = 12;
    let pair = (1..=MOST, width()).prop_map(|(limit, width)| Pair::new(limit, width, MOST, true));
    let histories = (pair, prop::collection::vec(step(MOST), 1..150));
    run(histories, &TO_BE_MET);
}

// proves: RL-1, RL-3
#[test]
fn a_coarse_window_is_never_above_the_limit_and_less_than_a_slot_below() {
    let pair = (1_u32..40, width(), 1_u32..8)
        .prop_map(|(limit, width, slots)| Pair::new(limit, width, slots, false));
    let histories = (pair, prop::collection::vec(step(40), 1..150));
    let to_be_met: Vec<_> = TO_BE_MET.into_iter().chain(["held too long"]).collect();
    run(histories, &to_be_met);
}

/// With gaps of at least `width / (limit - units of a slot + 1)`: at the rate with a slot for each unit, else at 64/65 of it.
// proves: RL-2
#[test]
fn a_lone_client_that_keeps_the_rate_is_never_refused() {
    let random = Random::seeded(seed());
    let steps = deep(100_000_u32, 10_000_000);
    for (limit, slots) in [
        (1, 64),
        (10, 10),
        (100, 100),
        (64, 64),
        (65, 64),
        (1_000, 64),
    ] {
        const WIDTH: u64 = 1_000_000_007;
        let window = Window::new(limit, WIDTH, slots, at(0));
        let gap = gap(limit, WIDTH, slots);
        let mut now = random.next_u64() % 1_000;
        for _ in 0..steps {
            assert!(window.take(1, at(now)).is_ok(), "{limit} in {slots} slots");
            let late = random.next_u64() % 4;
            now += gap
                + if late == 0 {
                    random.next_u64() % gap
                } else {
                    0
                };
        }
    }
}

/// Somebody who always tries gets 64/65 of a large limit in 64 slots, and all of one that has a slot for each unit.
// proves: RL-1, RL-5
#[test]
fn a_greedy_client_gets_the_stated_share_of_the_limit() {
    const WIDTH: u64 = 1_000_000_000;
    const WINDOWS: u64 = 20;
    for (limit, slots) in [
        (50, 64),
        (100, 100),
        (100, 64),
        (1_000, 64),
        (100_000, BUCKETED),
    ] {
        let window = Window::new(limit, WIDTH, slots, at(0));
        let (mut now, mut taken) = (0, 0);
        // An even pace, or all would be taken at once, and a whole window later again.
        let pace = gap(limit, WIDTH, slots);
        while now < WINDOWS * WIDTH {
            match window.take(1, at(now)) {
                Ok(_) => taken += 1,
                Err(_) => now += 1,
            }
            now += pace;
        }
        let share = f64::from(taken) / f64::from(limit) / WINDOWS as f64;
        println!("{limit} in {slots} slots: {share:.4}");
        assert!((0.98..1.02).contains(&share), "{limit} in {slots}: {share}");
    }
}

/// Any clock, also one that goes back: an answer, never a panic.
#[test]
fn no_clock_makes_it_panic() {
    let random = Random::seeded(seed());
    let draw = || random.next_u64() >> (random.next_u64() % 64);
    let mut receipts = Vec::new();
    for _ in 0..deep(500, 50_000) {
        let few = || u32::try_from(draw() >> 40).unwrap();
        let window = Window::new(few(), draw(), 1 + few() % 70, at(0));
        for _ in 0..400 {
            let (units, now) = (few(), at(draw()));
            receipts.extend(window.take(units, now).ok());
            match draw() {
                0 => window.set(few(), draw(), now),
                1..4 => window.charge(units, now),
                _ => drop(
                    receipts
                        .last_mut()
                        .map(|receipt| window.give_back(receipt, units)),
                ),
            }
            let level = window.level(at(draw()));
            assert!(level.remaining <= window.limit());
        }
        receipts.clear();
    }
}
