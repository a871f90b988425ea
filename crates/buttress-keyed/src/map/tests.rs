//! The map against a naive model: what the sum of all steps must be, whatever was evicted.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use buttress_testkit::{deep, seed};
use proptest::prelude::*;

use super::*;

type Counts = KeyedMap<u64, u64>;

/// One more for this key; a count of zero is that of a new key.
fn count(map: &Counts, key: u64) -> u64 {
    map.with(
        &key,
        || 0,
        |count| *count == 0,
        |count| {
            *count += 1;
            *count
        },
    )
}

fn clear(map: &Counts, key: u64) {
    map.get(&key, |count| *count = 0);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Count(u64),
    /// Makes it as good as new.
    Clear(u64),
    Remove(u64),
    EvictIdle,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..40_u64;
    prop_oneof![
        12 => key.clone().prop_map(Step::Count),
        4 => key.clone().prop_map(Step::Clear),
        1 => key.prop_map(Step::Remove),
        1 => Just(Step::EvictIdle),
    ]
}

/// Counts by key, without a bound; and the one that is shared.
#[derive(Default)]
struct Model {
    counts: HashMap<u64, u64>,
    shared: u64,
}

impl Model {
    fn busy(&self) -> usize {
        self.counts.values().filter(|count| **count > 0).count()
    }

    fn count(&mut self, map: &Counts, key: u64) -> Result<(), TestCaseError> {
        let (before, busy) = (map.overflowed(), self.busy());
        let counted = count(map, key);
        let own = self.counts.entry(key).or_default();
        if map.overflowed() == before {
            *own += 1;
            prop_assert_eq!(counted, *own);
        } else {
            self.shared += 1;
            prop_assert_eq!(*own, 0, "a key that is not idle keeps its own");
            prop_assert_eq!(counted, self.shared);
            prop_assert_eq!(busy, map.max_keys(), "there was room");
        }
        Ok(())
    }
}

fn agree(keys: u32, seed: u64, steps: &[Step]) -> Result<u64, TestCaseError> {
    let (map, mut model) = (Counts::seeded(keys, seed), Model::default());
    for step in steps {
        match *step {
            Step::Count(key) => model.count(&map, key)?,
            Step::Clear(key) => {
                clear(&map, key);
                model.counts.insert(key, 0);
            }
            Step::Remove(key) => {
                let removed = map.remove(&key).unwrap_or(0);
                prop_assert_eq!(removed, model.counts.remove(&key).unwrap_or(0));
            }
            Step::EvictIdle => {
                map.evict_idle(|count| *count == 0);
                prop_assert_eq!(map.len(), model.busy());
            }
        }
        prop_assert!(map.len() <= map.max_keys());
        prop_assert!(map.len() >= model.busy());
    }
    let mut shown = HashMap::new();
    map.for_each(|key, count| assert_eq!(shown.insert(*key, *count), None, "twice"));
    prop_assert_eq!(shown.len(), map.len());
    for (key, count) in model.counts {
        prop_assert_eq!(shown.get(&key).copied().unwrap_or(0), count);
    }
    Ok(map.overflowed())
}

// A map this small is looked through as a whole by every new key, so the model knows when there must be room.
// proves: RL-6
#[test]
fn random_histories_agree_with_a_model_without_a_bound() {
    let seed = seed();
    let rng = proptest::test_runner::TestRng::from_seed(
        proptest::test_runner::RngAlgorithm::ChaCha,
        &std::array::from_fn::<u8, 32, _>(|i| seed.to_le_bytes()[i % 8]),
    );
    let config = ProptestConfig::with_cases(deep(300, 20_000));
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(config, rng);
    let histories = (
        1..30_u32,
        any::<u64>(),
        prop::collection::vec(step(), 0..300),
    );
    let (full, free) = (Statistic::new(0), Statistic::new(0));
    let ran = runner.run(&histories, |(keys, seed, steps)| {
        let met = if agree(keys, seed, &steps)? > 0 {
            &full
        } else {
            &free
        };
        met.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    ran.unwrap();
    let met = [full, free].map(|met| met.load(Ordering::Relaxed));
    println!("histories with and without an overflow: {met:?}");
    assert!(
        met.iter().all(|met| *met * 100 > met.max(&1) + 100),
        "{met:?}"
    );
}

/// A key that was left alone is found, wherever it lies and wherever the search has come to.
#[test]
fn a_key_that_stays_idle_is_found_for_certain() {
    for run in 0..deep(20, 500) {
        let keys = 5000;
        let map = Counts::seeded(keys, run);
        (0..u64::from(keys)).for_each(|key| assert_eq!(count(&map, key), 1));
        let mut newcomers = 10_000 + run..;
        let mut overflow_until_found = |idle: u64| {
            clear(&map, idle);
            let before = map.overflowed();
            while map.get(&idle, |_| ()).is_some() {
                newcomers.next().map(|key| count(&map, key));
            }
            map.overflowed() - before
        };
        // The largest shard has about 110 keys: three turns of its own, one in 64 newcomers each.
        let longest = (0..20).map(|idle| overflow_until_found(idle * 97)).max();
        assert!(longest <= Some(4 * 64), "{longest:?}");
        assert_eq!(map.len(), 5000);
    }
}

// proves: RL-6
#[test]
fn a_crowded_shard_may_hold_all_the_keys() {
    #[derive(Clone, PartialEq, Eq)]
    struct SameHash(u32);
    impl Hash for SameHash {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            0_u8.hash(state);
        }
    }
    let map = KeyedMap::new(1000);
    let count = |key| {
        map.with(
            &SameHash(key),
            || 0,
            |count| *count == 0,
            |count| {
                *count += 1;
                *count
            },
        )
    };
    assert!((0..1000).all(|key| count(key) == 1));
    assert!((0..1000).all(|key| count(key) == 2));
    assert_eq!((map.len(), map.overflowed()), (1000, 0));
    assert_eq!((count(1000), count(1001)), (1, 2), "these share one");
    assert_eq!((map.len(), map.overflowed()), (1000, 2));
}

// proves: RL-7
#[test]
fn every_map_has_a_seed_of_its_own_unless_it_is_told_one() {
    let order = |map: Counts| {
        (0..100).for_each(|key| assert_eq!(count(&map, key), 1));
        let mut order = Vec::new();
        map.for_each(|key, _| order.push(*key));
        order
    };
    assert_ne!(order(Counts::new(100)), order(Counts::new(100)));
    assert_eq!(order(Counts::seeded(100, 7)), order(Counts::seeded(100, 7)));
    assert_ne!(order(Counts::seeded(100, 7)), order(Counts::seeded(100, 8)));
}

#[test]
fn a_step_that_panics_leaves_the_map_as_it_was() {
    let map = Counts::new(2);
    let panics = |key: u64| {
        let step = || map.with(&key, || 0, |_| false, |_| panic!("in the step"));
        catch_unwind(AssertUnwindSafe(step)).is_err()
    };
    assert!(
        panics(1) && panics(2) && panics(3),
        "none of them took room"
    );
    assert_eq!(map.len(), 0);
    assert_eq!((count(&map, 1), count(&map, 2)), (1, 1));
    assert!(panics(1) && panics(3));
    assert_eq!((count(&map, 1), count(&map, 3)), (2, 1));
    assert_eq!((map.len(), map.overflowed()), (2, 2));
}

thread_local!(static MAP: KeyedMap<Curious, Curious> = KeyedMap::seeded(3, 1));

/// A key and a value whose code would wait for ever, if a lock were held.
struct Curious(u8);

impl Curious {
    fn looks_around() {
        let _ = MAP.try_with(|map| {
            map.for_each(|_, _| ());
            map.overflow(|_| ());
        });
    }

    fn made() -> Self {
        Self::looks_around();
        Self(0)
    }
}

impl Clone for Curious {
    fn clone(&self) -> Self {
        Self::looks_around();
        Self(self.0)
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        Self::looks_around();
    }
}

impl Hash for Curious {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Self::looks_around();
        self.0.hash(state);
    }
}

impl PartialEq for Curious {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Curious {}

#[test]
fn no_lock_is_held_while_code_of_a_user_runs() {
    let set = |map: &KeyedMap<_, _>, key, is_idle| {
        let step = |value: &mut Curious| value.0 = key;
        map.with(&Curious(key), Curious::made, |_| is_idle, step);
    };
    MAP.with(|map| {
        (0..20).for_each(|key| set(map, key, true));
        assert!(map.remove(&Curious(19)).is_some_and(|value| value.0 == 19));
        assert_eq!(map.evict_idle(|_| true), 2);
        assert!(map.is_empty());
        (0..5).for_each(|key| set(map, key, false));
        let shared = map.overflow(|value| value.0);
        assert_eq!((map.overflowed(), shared), (2, Some(4)));
    });
}

#[test]
fn a_bound_that_makes_no_sense_is_named() {
    for bad in [0, MOST_KEYS + 1, u32::MAX] {
        assert_eq!(validate_max_keys(bad).unwrap_err().setting(), "max_keys");
    }
    assert!(validate_max_keys(1).is_ok() && validate_max_keys(MOST_KEYS).is_ok());
    assert_eq!(Counts::new(0).max_keys(), 1);
    assert_eq!(Counts::new(u32::MAX).max_keys(), 1 << 24);
}
