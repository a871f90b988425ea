//! A stranger who has a new key for every call.

use buttress_keyed::KeyedMap;
use buttress_sync::Random;
use buttress_testkit::{deep, seed};

/// What a limiter keeps: how much of the limit of 5 was used. Nothing used is as good as new.
fn use_up(map: &KeyedMap<u64, u64>, key: u64) -> u64 {
    map.with(
        &key,
        || 0,
        |used| *used == 0,
        |used| {
            *used = (*used + 1).min(5);
            *used
        },
    )
}

fn give_back(map: &KeyedMap<u64, u64>, key: u64) {
    map.get(&key, |used| *used = 0);
}

// proves: RL-6
#[test]
fn a_limited_key_stays_limited_throughout() {
    let (map, random) = (KeyedMap::new(100_000), Random::seeded(seed()));
    let limited: Vec<u64> = (0..100).map(|_| random.next_u64()).collect();
    limited
        .iter()
        .for_each(|key| while use_up(&map, *key) < 5 {});
    let mut resets = 0;
    for call in 0..deep(1_000_000, 10_000_000_usize) {
        let key = random.next_u64();
        use_up(&map, key);
        // Half of what the stranger leaves behind stays limited, too.
        if call % 2 == 0 {
            give_back(&map, key);
        }
        if use_up(&map, limited[call % limited.len()]) != 5 {
            resets += 1;
        }
    }
    assert_eq!(resets, 0);
    assert_eq!(map.len(), 100_000);
    assert!(map.overflowed() > 0);
}

// proves: RL-6
#[test]
fn a_flood_of_limited_keys_shares_one() {
    let (map, random) = (KeyedMap::new(1000), Random::seeded(seed()));
    (0..1000).for_each(|key| assert_eq!(use_up(&map, key), 1));
    for newcomer in 1..=100_000 {
        let used = use_up(&map, random.next_u64() | 1 << 63);
        assert_eq!(used, newcomer.min(5), "the next after all others");
    }
    assert_eq!(map.overflowed(), 100_000);
    assert_eq!(map.overflow(|used| *used), Some(5));
    // None of those that were there before has been forgotten.
    (0..1000).for_each(|key| assert_eq!(use_up(&map, key), 2));
    assert_eq!((map.len(), map.overflowed()), (1000, 100_000));
}

#[test]
fn a_flood_of_idle_keys_overflows_nothing() {
    let (map, random) = (KeyedMap::new(1000), Random::seeded(seed()));
    for _ in 0..100_000 {
        let key = random.next_u64();
        assert_eq!(use_up(&map, key), 1);
        give_back(&map, key);
    }
    assert_eq!((map.len(), map.overflowed()), (1000, 0));
}
