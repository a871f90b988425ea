//! Random histories: the machine and the naive model must agree after every step.

use std::cell::RefCell;
use std::collections::BTreeMap;

use buttress_testkit::{deep, seed};
use proptest::prelude::*;
use proptest::test_runner::{Config as RunConfig, RngAlgorithm, TestRng, TestRunner};

use super::model::{CLASSES, ModelTerms};
use super::pair::{Newcomer, Pair, Step};

fn newcomer(longest_wait: impl Strategy<Value = u64>) -> impl Strategy<Value = Newcomer> {
    // Many calls are of one class: that is where order within a class shows.
    let class = prop_oneof![2 => Just(2_usize), 3 => 0..CLASSES];
    // Before the longest wait is over, or after.
    let deadline = prop_oneof![
        2 => Just(None),
        1 => (0_u64..40).prop_map(Some),
        1 => (40_u64..1_500).prop_map(Some),
    ];
    let parts = (class, longest_wait, deadline);
    parts.prop_map(|(class, longest_wait, deadline)| Newcomer {
        class,
        longest_wait,
        deadline,
    })
}

/// Anything may happen.
fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![4 => 0_u64..4, 5 => 0_u64..30, 1 => 0_u64..400];
    let newcomer = || newcomer(prop_oneof![1 => Just(0_u64), 6 => 1_u64..40, 6 => 40_u64..1_000]);
    prop_oneof![
        200 => newcomer().prop_map(Step::Arrive),
        30 => newcomer().prop_map(Step::Join),
        90 => any::<usize>().prop_map(Step::Poll),
        20 => Just(Step::PollGranted),
        120 => any::<usize>().prop_map(Step::GiveBack),
        25 => any::<usize>().prop_map(Step::Leave),
        80 => wait.prop_map(Step::Wait),
        60 => (1_usize..6).prop_map(Step::Serve),
        6 => (1_usize..6).prop_map(Step::Resize),
        6 => (0_usize..9).prop_map(Step::ResizeQueue),
        2 => Just(Step::Close),
    ]
}

/// More calls come than can be let in, and they are patient: classes earn what they are guaranteed.
fn busy_step() -> impl Strategy<Value = Step> {
    let newcomer = || newcomer(300_u64..1_000);
    prop_oneof![
        60 => newcomer().prop_map(Step::Arrive),
        10 => newcomer().prop_map(Step::Join),
        60 => (newcomer(), 1_usize..8).prop_map(|(calls, times)| Step::TakeTurns(calls, times)),
        10 => any::<usize>().prop_map(Step::Poll),
        20 => any::<usize>().prop_map(Step::GiveBack),
        3 => any::<usize>().prop_map(Step::Leave),
        5 => (0_u64..4).prop_map(Step::Wait),
        20 => (1_usize..4).prop_map(Step::Serve),
        1 => (1_usize..6).prop_map(Step::Resize),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use prop::collection::vec;
    prop_oneof![3 => vec(step(), 1..200), 2 => vec(busy_step(), 1..200)]
}

/// Shares that are together at most half of the grants; the top class has none.
fn percents() -> impl Strategy<Value = [i64; CLASSES]> {
    let cuts = prop::array::uniform4(0_i64..=50).prop_map(|mut cuts| {
        cuts.sort_unstable();
        let mut last = 0;
        cuts.map(|cut| cut - std::mem::replace(&mut last, cut))
    });
    let lower = prop_oneof![
        1 => Just([5; 4]),
        1 => Just([25, 25, 0, 0]).prop_shuffle(),
        3 => cuts.prop_shuffle(),
    ];
    lower.prop_map(|[background, low, normal, high]| [background, low, normal, high, 0])
}

fn terms() -> impl Strategy<Value = ModelTerms> {
    let caps = prop_oneof![
        2 => Just([100; CLASSES]),
        3 => prop::array::uniform5(0_usize..7),
    ];
    let capacity = prop_oneof![2 => 0_usize..9, 1 => 9_usize..20];
    let patience = prop_oneof![2 => 1_u64..20, 1 => 20_u64..100];
    let numbers = (1_usize..6, 0_usize..4, capacity, patience);
    (numbers, caps, percents()).prop_map(|(numbers, caps, percents)| ModelTerms {
        limit: numbers.0,
        reserved: numbers.1,
        capacity: numbers.2,
        caps,
        percents,
        patience: numbers.3,
    })
}

/// Everything that at least one history in a hundred must have met, or the test proves too little.
const TO_BE_MET: [&str; 23] = [
    "granted by class",
    "granted by share",
    "granted among several shares",
    "displaced",
    "refused: class full",
    "refused: queue full",
    "expired when its turn came",
    "expired by its poll",
    "past its deadline",
    "past its deadline with a grant",
    "revoked",
    "revived",
    "served by one that waits",
    "more patient",
    "revived ahead of others",
    "a reserved slot used",
    "kept out by the reserve",
    "went before lower ones",
    "resized below those inside",
    "displaced by a shorter queue",
    "closed with some waiting",
    "closed with a grant",
    "an overdue one made room",
];

fn run(terms: ModelTerms, is_tidy: bool, steps: &[Step]) -> Pair {
    let mut pair = Pair::new(terms);
    for step in steps {
        pair.step(step);
        pair.compare();
        if is_tidy {
            pair.serve_all();
            pair.compare();
        }
    }
    pair.serve_all();
    pair.compare();
    pair
}

// proves: PB-1, PB-2, PB-4, PB-6, PB-7, PB-8, PB-9
#[test]
fn the_machine_agrees_with_the_naive_model_on_every_history() {
    let cases = deep(2_000_u32, 200_000);
    let seed = seed();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(); 4].concat());
    let settings = RunConfig {
        cases,
        failure_persistence: None,
        ..RunConfig::default()
    };
    let met: RefCell<BTreeMap<&str, u64>> = RefCell::default();
    let mut runner = TestRunner::new_with_rng(settings, rng);
    let histories = (terms(), any::<bool>(), steps());
    let outcome = runner.run(&histories, |(terms, is_tidy, steps)| {
        let pair = run(terms, is_tidy, &steps);
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
