//! What a map costs in memory, by an allocator that counts.

use std::fs;

use allocation_counter::measure;
use buttress_keyed::KeyedMap;
use buttress_sync::Random;
use buttress_testkit::{deep, seed};

type Map = KeyedMap<u64, u64>;

/// What lies in the map itself: 64 locks on lines of their own.
const FIXED: usize = 9 * 1024;

fn bring(map: &Map, key: u64) {
    map.with(&key, || 1, |_| true, |value| *value += 1);
}

fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split_whitespace().nth(1).unwrap().parse().unwrap();
    resident * 4096
}

// proves: RL-5
#[test]
fn ten_million_random_keys_stay_within_24_mib() {
    let random = Random::seeded(seed());
    let before = resident();
    let map = Map::new(Map::DEFAULT_KEYS);
    let allocated = measure(|| {
        for _ in 0..deep(1_000_000, 10_000_000) {
            bring(&map, random.next_u64());
            assert!(map.len() <= 100_000);
        }
    });
    let grown = resident().saturating_sub(before);
    println!(
        "{} B allocated at most, {grown} B resident",
        allocated.bytes_max
    );
    assert_eq!((map.len(), map.overflowed()), (100_000, 0));
    assert!(grown <= 24 << 20, "{grown}");
    // A fifth of what is allowed, and not more after the last than after the first hundred thousand.
    assert!(
        allocated.bytes_max <= 40 * 100_000,
        "{}",
        allocated.bytes_max
    );
}

// proves: RL-5
#[test]
fn a_key_of_eight_bytes_takes_40_bytes_at_most() {
    let map = Map::new(2_000_000);
    assert!(size_of_val(&map) <= FIXED);
    let random = Random::seeded(seed());
    let (mut held, mut worst) = (0, 0.0_f64);
    for keys in 1..=deep(300_000_u32, 2_000_000) {
        let grown = measure(|| bring(&map, random.next_u64()));
        // Growing holds the old entries of one shard beside the new.
        let most = held + i64::try_from(grown.bytes_max).unwrap();
        held += grown.bytes_current;
        if keys >= 10_000 {
            worst = worst.max(most as f64 / f64::from(keys));
        }
    }
    println!("{worst:.1} B a key at most");
    assert!(worst <= 40.0, "{worst}");
}

#[test]
fn a_known_key_allocates_nothing_and_neither_does_one_without_room() {
    let map = Map::new(100);
    let busy = |key: u64| map.with(&key, || 1, |_| false, |value| *value += 1);
    (0..101).for_each(busy);
    let known = measure(|| (0..100).for_each(busy));
    let shared = measure(|| (1000..2000).for_each(busy));
    assert_eq!((known.count_total, shared.count_total), (0, 0));
    assert_eq!(map.overflowed(), 1001);
}
