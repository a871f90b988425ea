//! Random histories: the machine and the naive model must agree after every step, and RL-1 must hold over every interval.

use std::cell::RefCell;
use std::collections::BTreeMap;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::model::{Answer, Model};
use super::{Bucket, Terms, Wait, Word, at, terms};

#[derive(Clone, Debug)]
enum Step {
    Take(u32),
    GiveBack {
        which: usize,
        units: u32,
    },
    Charge(u32),
    Wait(u64),
    /// The whole wait of the last refusal, one nanosecond less, or one more.
    WaitAsTold(i64),
    Set(u64, u32),
}

fn interval() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(1),
        1_u64..10,
        1_u64..2_000_000,
        Just(333_333_334),
        1_u64..4_000_000_000
    ]
}

fn burst() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(1), 4 => 1_u32..20, 2 => 1_u32..2_000, 1 => 1_u32..60_000_000]
}

fn units() -> impl Strategy<Value = u32> {
    prop_oneof![6 => Just(1), 6 => 0_u32..20, 2 => 0_u32..2_000, 1 => any::<u32>()]
}

fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0),
        3 => 0_u64..20,
        4 => 0_u64..10_000_000,
        3 => 0_u64..20_000_000_000,
        1 => 0_u64..1 << 50,
        // Up to the end of the clock and past it, but seldom.
        1 => prop_oneof![100 => 0_u64..1 << 50, 1 => 0..u64::MAX],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => units().prop_map(Step::Take),
        4 => (any::<usize>(), units()).prop_map(|(which, units)| Step::GiveBack { which, units }),
        1 => units().prop_map(Step::Charge),
        7 => wait().prop_map(Step::Wait),
        5 => (-1_i64..=1).prop_map(Step::WaitAsTold),
        1 => (interval(), burst()).prop_map(|(interval, burst)| Step::Set(interval, burst)),
    ]
}

/// What a call has taken, or given back: when, how many, and how many the rate had let through until then.
struct Entry {
    units: i64,
    flow: f64,
    burst: u32,
}

/// The machine in both forms, the model, and what the history has met.
struct Trio {
    bucket: Bucket,
    word: Word,
    terms: Terms,
    model: Model,
    now: u64,
    flow: f64,
    told: u64,
    taken: Vec<u32>,
    entries: Vec<Entry>,
    met: BTreeMap<&'static str, u64>,
}

impl Trio {
    fn new(interval: u64, burst: u32) -> Self {
        let terms = terms(interval, burst);
        Self {
            bucket: Bucket::new(terms),
            word: Word::FULL,
            terms,
            model: Model::new(interval, burst),
            now: 0,
            flow: 0.0,
            told: 0,
            taken: Vec::new(),
            entries: Vec::new(),
            met: BTreeMap::new(),
        }
    }

    fn meet(&mut self, what: &'static str) {
        self.met.insert(what, 1);
    }

    fn enter(&mut self, units: i64) {
        let (flow, burst) = (self.flow, self.terms.burst());
        self.entries.push(Entry { units, flow, burst });
    }

    fn take(&mut self, units: u32) {
        let was_full = self.word.is_full(at(self.now));
        let check = self.bucket.check(units, at(self.now));
        let answer = self.bucket.take(units, at(self.now));
        assert_eq!(answer, self.word.take(self.terms, units, at(self.now)));
        assert_eq!(check, answer.map(drop));
        let expected = self.model.take(units, self.now);
        match answer {
            Ok(word) => {
                assert_eq!(expected, Answer::Taken);
                self.word = word;
                self.taken.push(units);
                self.enter(i64::from(units));
                if units > 0 && self.model.remaining() == 0 {
                    self.meet("took the last one");
                }
                self.meet(if was_full {
                    "from a full one"
                } else {
                    "from a used one"
                });
            }
            Err(Wait::After(wait)) => {
                assert_eq!(expected, Answer::Refused(wait));
                self.told = wait;
                self.meet("refused");
                self.the_wait_is_exact(units, wait);
            }
            Err(Wait::Never) => {
                assert_eq!(expected, Answer::Never);
                self.meet("never fits");
            }
        }
    }

    fn the_wait_is_exact(&mut self, units: u32, wait: u64) {
        let due = self.now.saturating_add(wait);
        assert!(wait > 0);
        if due >= 1 << 60 {
            return self.meet("refused until after the end of the clock");
        }
        assert_eq!(
            self.word.take(self.terms, units, at(due - 1)),
            Err(Wait::After(1)),
        );
        assert!(self.word.take(self.terms, units, at(due)).is_ok());
    }

    fn give_back(&mut self, which: usize, units: u32) {
        if self.taken.is_empty() {
            return;
        }
        let which = which % self.taken.len();
        let units = units.min(self.taken[which]);
        self.taken[which] -= units;
        self.bucket.give_back(units);
        self.word = self.word.give_back(self.terms, units);
        self.model.give_back(units, self.now);
        self.enter(-i64::from(units));
        if units > 0 {
            self.meet(if self.model.missing() == 0 {
                "full again by a gift"
            } else {
                "given back"
            });
        }
    }

    fn charge(&mut self, units: u32) {
        self.bucket.charge(units, at(self.now));
        self.word = self.word.charge(self.terms, units, at(self.now));
        self.model.charge(units, self.now);
        if self.model.is_in_debt() {
            self.meet("in debt");
        }
        if self.model.missing() >= 2 * self.terms.capacity() {
            self.meet("forgiven");
        }
    }

    fn wait(&mut self, nanos: u64) {
        self.now = self.now.saturating_add(nanos);
        self.flow += nanos as f64 / self.terms.interval() as f64;
    }

    fn set(&mut self, interval: u64, burst: u32) {
        let new = terms(interval, burst);
        self.bucket.set_terms(new, at(self.now));
        self.word = self.word.convert(self.terms, new, at(self.now));
        self.model.set(interval, burst, self.now);
        let faster = interval < self.terms.interval();
        let missing = self.model.missing();
        if missing > 0 {
            self.meet(if faster {
                "faster, used"
            } else {
                "slower, used"
            });
        }
        if missing > new.capacity() {
            self.meet("more spent than fits");
        }
        self.terms = new;
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Take(units) => self.take(units),
            Step::GiveBack { which, units } => self.give_back(which, units),
            Step::Charge(units) => self.charge(units),
            Step::Wait(nanos) => self.wait(nanos),
            Step::WaitAsTold(more) => {
                let told = std::mem::take(&mut self.told);
                self.wait(told.saturating_add_signed(more));
            }
            Step::Set(interval, burst) => self.set(interval, burst),
        }
    }

    fn compare(&mut self) {
        // The model fills when it is asked only.
        self.model.give_back(0, self.now);
        let level = self.bucket.level(at(self.now));
        assert_eq!(self.bucket.word(), self.word);
        assert_eq!(self.bucket.terms(), self.terms);
        assert_eq!(level, self.word.level(self.terms, at(self.now)));
        assert_eq!(level.remaining, self.model.remaining());
        assert_eq!(level.clear_after, self.model.missing());
        assert_eq!(
            self.bucket.word().is_full(at(self.now)),
            self.model.missing() == 0
        );
        let turn = self.bucket.turn(u64::from(level.remaining), at(self.now));
        assert!(turn == 0 || self.model.is_in_debt());
    }

    /// Over every interval, whatever the rate was: admitted less given back is at most the burst at its end and the flow in between.
    fn every_interval_keeps_the_bound(&self) {
        for (first, from) in self.entries.iter().enumerate() {
            let mut sum = 0;
            for to in &self.entries[first..] {
                sum += to.units;
                let bound = f64::from(to.burst) + to.flow - from.flow;
                let most = bound + 1e-9 * (to.flow + 1.0);
                assert!(to.units <= 0 || sum as f64 <= most, "{sum} of {bound}");
            }
        }
    }
}

/// Everything that at least one history in a hundred must have met, or the test proves too little.
const TO_BE_MET: [&str; 12] = [
    "took the last one",
    "from a full one",
    "from a used one",
    "refused",
    "never fits",
    "given back",
    "full again by a gift",
    "in debt",
    "forgiven",
    "faster, used",
    "slower, used",
    "more spent than fits",
];

// proves: RL-1, RL-3
#[test]
fn the_bucket_agrees_with_the_naive_model_on_every_history() {
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
    let histories = (interval(), burst(), prop::collection::vec(step(), 1..150));
    let outcome = runner.run(&histories, |(interval, burst, steps)| {
        let mut trio = Trio::new(interval, burst);
        for step in &steps {
            trio.step(step);
            trio.compare();
        }
        trio.every_interval_keeps_the_bound();
        let mut met = met.borrow_mut();
        (trio.met.into_iter()).for_each(|(what, once)| *met.entry(what).or_default() += once);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("seed {seed}: {error}");
    }
    let met = met.into_inner();
    println!("{cases} histories met: {met:?}");
    for what in TO_BE_MET {
        let times = met.get(what).copied().unwrap_or(0);
        assert!(
            times * 100 >= u64::from(cases),
            "{what}: only {times} of {cases} histories"
        );
    }
}

/// Also by rates that do not divide evenly, and with a burst of one, where there is nothing to fall back on.
// proves: RL-2
#[test]
fn a_lone_client_that_keeps_the_rate_is_never_refused() {
    let random = Random::seeded(seed());
    let steps = deep(100_000_u32, 10_000_000);
    for (interval, burst) in [
        (1, 1),
        (333_333_334, 1),
        (10_000_000, 1),
        (10_000_000, 1000),
    ] {
        let bucket = Bucket::new(terms(interval, burst));
        let mut now = random.next_u64() % 1_000;
        for _ in 0..steps {
            assert!(bucket.take(1, at(now)).is_ok());
            let late = random.next_u64() % 4;
            now += interval
                + if late == 0 {
                    random.next_u64() % interval
                } else {
                    0
                };
        }
    }
}

/// Every bit pattern, every clock, also one that goes back: an answer, never a panic.
#[test]
fn no_word_and_no_clock_makes_it_panic() {
    let random = Random::seeded(seed());
    let draw = || random.next_u64() >> (random.next_u64() % 64);
    let some_terms = || {
        let burst = u32::try_from(draw() >> 32).unwrap();
        Terms::new(draw(), burst).unwrap_or(terms(1, 1))
    };
    let bucket = Bucket::new(some_terms());
    for _ in 0..deep(200_000, 20_000_000) {
        let (old, new, now) = (some_terms(), some_terms(), at(draw()));
        let units = u32::try_from(draw() >> 32).unwrap();
        let word = Word::from_bits(draw());
        let taken = word.take(old, units, now).unwrap_or(word);
        let _ = taken.level(old, now);
        let _ = taken.turn(old, draw(), now);
        let _ = taken.convert(old, new, now).charge(new, units, now);
        assert!(word.give_back(old, u32::MAX).bits() <= word.bits());
        let _ = bucket.take(units, now);
        match draw() {
            0 => bucket.set_terms(new, now),
            1..4 => bucket.charge(units, now),
            _ => bucket.give_back(units),
        }
        let _ = bucket.level(at(draw()));
    }
}
