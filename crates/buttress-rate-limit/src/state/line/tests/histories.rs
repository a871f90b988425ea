//! Random histories: the machine and the naive model must agree after every step, and nothing comes out bunched.

use std::cell::RefCell;
use std::collections::BTreeMap;

use buttress_testkit::{deep, seed};
use proptest::prelude::*;
use proptest::test_runner::{Config as RunConfig, RngAlgorithm, TestRng, TestRunner};

use super::pair::{Act, Newcomer, Pair};
use super::{MILLI, Tap};

fn newcomer() -> impl Strategy<Value = Newcomer> {
    let units = prop_oneof![12 => Just(1_u32), 4 => 1_u32..4, 1 => Just(0_u32), 1 => 1_u32..7];
    let longest_wait = prop_oneof![1 => Just(0_u64), 4 => 1_u64..100, 8 => 100_u64..2_000];
    let deadline = prop_oneof![
        5 => Just(None),
        1 => (0_u64..60).prop_map(Some),
        1 => (60_u64..1_000).prop_map(Some),
    ];
    let parts = (units, longest_wait, deadline, prop::bool::weighted(0.15));
    parts.prop_map(|(units, longest_wait, deadline, reserves)| Newcomer {
        units,
        longest_wait,
        deadline,
        reserves,
    })
}

fn act() -> impl Strategy<Value = Act> {
    let wait = prop_oneof![4 => 0_u64..4, 6 => 0_u64..40, 2 => 0_u64..400];
    prop_oneof![
        180 => newcomer().prop_map(Act::Arrive),
        20 => (0_u32..4).prop_map(Act::Admit),
        70 => any::<usize>().prop_map(Act::Poll),
        60 => Just(Act::Come),
        25 => any::<usize>().prop_map(Act::Leave),
        10 => Just(Act::LeaveCalled),
        8 => (any::<usize>(), 0_u64..300).prop_map(|(who, wait)| Act::Shorten(who, wait)),
        15 => (any::<usize>(), any::<bool>()).prop_map(|(who, able)| Act::SetAble(who, able)),
        90 => wait.prop_map(Act::Wait),
        60 => Just(Act::WaitForFirst),
        90 => (1_usize..6).prop_map(Act::Step),
        14 => (1_u64..40, 1_u32..6).prop_map(|(interval, burst)| Act::ChangeRate(interval, burst)),
        10 => (1_u32..4).prop_map(Act::PutBack),
        1 => Just(Act::Close),
    ]
}

#[derive(Clone, Debug)]
struct Terms {
    interval: u64,
    burst: u32,
    capacity: u32,
    tells: bool,
    is_tidy: bool,
}

fn terms() -> impl Strategy<Value = Terms> {
    let burst = prop_oneof![3 => Just(1_u32), 2 => 2_u32..6];
    let capacity = prop_oneof![1 => 0_u32..3, 4 => 3_u32..30];
    let parts = (
        1_u64..60,
        burst,
        capacity,
        prop::bool::weighted(0.75),
        any::<bool>(),
    );
    parts.prop_map(|(interval, burst, capacity, tells, is_tidy)| Terms {
        interval,
        burst,
        capacity,
        tells,
        is_tidy,
    })
}

/// Everything that at least one history in a hundred must have met, or the test proves too little.
const TO_BE_MET: [&str; 26] = [
    "called",
    "came when called",
    "came uncalled",
    "called too soon",
    "passed over",
    "passed over by one that waits",
    "took its units after it was passed over",
    "went before one that was passed over",
    "came back before one that was called",
    "more patient",
    "left between its call and its poll",
    "watched by two",
    "reserved",
    "did not overtake",
    "turned out",
    "turned out: fits no more",
    "over by its deadline",
    "over as it never fits",
    "over by the longest wait",
    "one whose wait was over made room",
    "refused: full",
    "refused: its turn comes too late",
    "refused: its turn comes after its deadline",
    "refused: too many units",
    "refused: closed",
    "closed with some waiting",
];

fn run(terms: &Terms, acts: &[Act]) -> Pair {
    let mut tap = Tap::new(terms.interval, terms.burst);
    tap.tells = terms.tells;
    let mut pair = Pair::new(tap, terms.capacity);
    for act in acts {
        pair.act(act);
        pair.compare();
        if terms.is_tidy {
            pair.step_all();
            pair.compare();
        }
    }
    pair.step_all();
    pair.compare();
    pair
}

/// Between two changes of the rate no more comes out in any time than the rate and the burst allow; of a burst of one: each call
/// at least its interval after the one before.
fn assert_even(terms: &Terms, pair: &Pair) {
    let outs: Vec<_> = pair.outs.iter().filter(|out| out.changes == 0).collect();
    let interval = terms.interval * MILLI;
    for (index, from) in outs.iter().enumerate() {
        let mut units = 0;
        for to in &outs[index..] {
            units += u64::from(to.units);
            let allowed = u64::from(terms.burst) + (to.at - from.at) / interval;
            assert!(units <= allowed, "{units} units from {from:?} to {to:?}");
        }
    }
}

// proves: A-5, RL-4
#[test]
fn the_line_agrees_with_the_naive_model_on_every_history() {
    let cases = deep(3_000_u32, 200_000);
    let seed = seed();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(); 4].concat());
    let settings = RunConfig {
        cases,
        failure_persistence: None,
        ..RunConfig::default()
    };
    let met: RefCell<BTreeMap<&str, u64>> = RefCell::default();
    let mut runner = TestRunner::new_with_rng(settings, rng);
    let histories = (terms(), prop::collection::vec(act(), 1..200));
    let outcome = runner.run(&histories, |(terms, acts)| {
        let pair = run(&terms, &acts);
        assert_even(&terms, &pair);
        let mut met = met.borrow_mut();
        for what in pair.met {
            *met.entry(what).or_default() += 1;
        }
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
