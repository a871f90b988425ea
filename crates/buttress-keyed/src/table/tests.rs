//! The table against a map of std's, with hashes that meet as often as can be.

use std::collections::{BTreeMap, BTreeSet};

use buttress_testkit::deep;
use proptest::prelude::*;

use super::{Table, Tag};

#[derive(Clone, Debug)]
enum Step {
    Set(u16),
    Remove(u16),
    /// Looks at so many entries, and takes out an even one.
    Evict(usize),
    /// Takes out all that can be divided by five.
    EvictAll,
    Find(u16),
}

/// Few hashes, among them the lowest and the highest, so that keys crowd at the first and the last homes.
fn tag(key: u16, hashes: u64) -> Tag {
    let spread = u64::from(key) % hashes * (u64::MAX / (hashes - 1).max(1));
    Tag::of(spread)
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..300_u16;
    prop_oneof![
        6 => key.clone().prop_map(Step::Set),
        2 => key.clone().prop_map(Step::Remove),
        1 => (0..20_usize).prop_map(Step::Evict),
        1 => Just(Step::EvictAll),
        2 => key.prop_map(Step::Find),
    ]
}

fn agree(steps: Vec<Step>, hashes: u64) -> Result<(), TestCaseError> {
    let (mut table, mut model) = (Table::new(), BTreeMap::new());
    for (moment, step) in steps.into_iter().enumerate() {
        match step {
            Step::Set(key) => match table.find(tag(key, hashes), &key) {
                Some(value) => *value = moment,
                None => table.insert(tag(key, hashes), key, moment),
            },
            Step::Remove(key) => {
                let removed = table.remove(tag(key, hashes), &key);
                prop_assert_eq!(removed.map(|(_, value)| value), model.remove(&key));
            }
            Step::Evict(mut looks) => {
                if let Some((key, value)) = table.evict(&mut looks, &mut |value| value % 2 == 0) {
                    prop_assert_eq!(model.remove(&key), Some(value));
                }
            }
            Step::EvictAll => {
                for (key, value) in table.evict_all(&mut |value| value % 5 == 0) {
                    prop_assert_eq!(model.remove(&key), Some(value));
                }
                prop_assert!(model.values().all(|value| value % 5 != 0));
            }
            Step::Find(key) => {
                let found = table.find(tag(key, hashes), &key).copied();
                prop_assert_eq!(found, model.get(&key).copied());
            }
        }
        if let Step::Set(key) = step {
            model.insert(key, moment);
        }
        prop_assert_eq!(table.entries.len(), model.len());
    }
    end(table, model, hashes)
}

fn end(
    mut table: Table<u16, usize>,
    model: BTreeMap<u16, usize>,
    hashes: u64,
) -> Result<(), TestCaseError> {
    let all: BTreeMap<_, _> = table
        .iter_mut()
        .map(|(key, value)| (*key, *value))
        .collect();
    prop_assert_eq!(&all, &model);
    for (key, value) in model {
        prop_assert_eq!(table.find(tag(key, hashes), &key).copied(), Some(value));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(deep(300, 20_000)))]

    #[test]
    fn it_agrees_with_a_map(
        steps in prop::collection::vec(step(), 0..600),
        hashes in prop_oneof![Just(1_u64), Just(2), Just(7), Just(64), Just(65_536)],
    ) {
        agree(steps, hashes)?;
    }

    /// Whatever comes and goes meanwhile: as many looks as there are entries at most see every entry that stays.
    #[test]
    fn the_hand_misses_nobody(
        began in 0..200_usize,
        changes in prop::collection::vec((any::<bool>(), 0..400_u16, 1..30_usize), 200..400),
    ) {
        let mut table = Table::new();
        let there = |key: u16| Tag::of(u64::from(key) << 50);
        for key in 0..200_u16 {
            table.insert(there(key), key, key);
        }
        table.evict(&mut began.clone(), &mut |_| false);
        let (mut stays, mut seen): (BTreeSet<u16>, _) = ((0..200).collect(), BTreeSet::new());
        // Newcomers lengthen the round, and so does who takes the place of one that left, if it was seen before.
        let mut left = 200_usize;
        for (comes, key, most) in changes {
            if comes && key >= 200 && table.find(there(key), &key).is_none() {
                table.insert(there(key), key, key);
                left += 1;
            } else if !comes && table.remove(there(key), &key).is_some() {
                stays.remove(&key);
                left += 1;
            }
            let mut looks = most.min(left);
            let asked = looks;
            let gone = table.evict(&mut looks, &mut |value| {
                seen.insert(*value);
                value % 50 == 49
            });
            if let Some((key, _)) = gone {
                stays.remove(&key);
                left += 1;
            }
            left -= asked - looks;
        }
        prop_assert!(left > 0 || stays.is_subset(&seen), "not seen: {:?}", &stays - &seen);
    }
}

#[test]
fn an_empty_table_finds_nothing_and_looks_at_nothing() {
    let mut table = Table::<u8, u8>::new();
    let mut looks = 10;
    assert_eq!(table.find(Tag::of(u64::MAX), &1), None);
    assert_eq!(table.remove(Tag::of(0), &1), None);
    assert_eq!(table.evict(&mut looks, &mut |_| true), None);
    assert_eq!(looks, 10);
}

#[test]
fn what_is_held_in_reserve_is_an_eighth() {
    let mut table = Table::new();
    for key in 0..100_000_u64 {
        table.insert(Tag::of(key.wrapping_mul(0x9e37_79b9_7f4a_7c15)), key, key);
    }
    assert!(table.entries.capacity() <= 112_600);
    assert!(table.tags.capacity() <= 112_600);
}
