//! What ten million random keys cost in memory, with us and with the peer. A program of its own: it looks at the memory of all of it.

use std::fs;
use std::num::NonZeroU32;

use buttress::{Rate, RateLimit};
use buttress_rate_limit::KeyedRateLimit;
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

const MIB: f64 = 1024.0 * 1024.0;

/// What this process has in memory.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split_whitespace().nth(1).unwrap().parse().unwrap();
    resident * 4096
}

/// By how much that has grown since.
fn grown(before: u64) -> f64 {
    resident().saturating_sub(before) as f64 / MIB
}

/// Five calls an hour of each key: what is spent here stays spent.
const LIMIT: u32 = 5;

/// Keys that have spent all they have, and are asked for all the time.
struct Limited {
    keys: Vec<u64>,
    asked: usize,
    resets: usize,
}

impl Limited {
    fn new(limit: &KeyedRateLimit<u64>, random: &Random) -> Self {
        let keys: Vec<_> = (0..100).map(|_| random.next_u64()).collect();
        for key in &keys {
            limit.try_acquire_many(key, LIMIT).map(drop).unwrap();
        }
        Self {
            keys,
            asked: 0,
            resets: 0,
        }
    }

    fn ask(&mut self, limit: &KeyedRateLimit<u64>) {
        let key = &self.keys[self.asked % self.keys.len()];
        self.asked += 1;
        self.resets += usize::from(limit.try_acquire(key).is_ok());
    }
}

/// Half of the keys give back what they took, so that they may be forgotten; the other half stay as limited as can be, so that there
/// is soon no place for any more.
fn flood_ours(limit: &KeyedRateLimit<u64>, random: &Random, keys: usize) {
    let mut limited = Limited::new(limit, random);
    for n in 0..keys {
        let key = random.next_u64();
        let (gives_back, units) = if n < keys / 2 {
            (true, 1)
        } else {
            (false, LIMIT)
        };
        if let Ok(permit) = limit.try_acquire_many(&key, units)
            && gives_back
        {
            permit.give_back();
        }
        limited.ask(limit);
        if n % 1024 == 0 {
            assert!(limit.snapshot().keys <= 100_000);
        }
    }
    assert_eq!(limited.resets, 0, "a limited key was forgotten");
    for key in &limited.keys {
        assert_eq!(limit.quota(key).remaining, 0);
    }
}

// proves: RL-5, RL-6
#[test]
fn ten_million_random_keys_stay_within_24_mib_and_a_limited_one_stays_limited() {
    let (random, keys) = (Random::seeded(seed()), deep(1_000_000, 10_000_000));
    let before = resident();
    let rate = Rate::per_hour(LIMIT);
    let builder = RateLimit::builder("per-client").token_bucket(rate).keyed();
    let limit = builder.build();
    flood_ours(&limit, &random, keys);
    let ours = grown(before);
    let snapshot = limit.snapshot();
    println!("{snapshot:?}");
    assert_eq!((snapshot.keys, snapshot.max_keys), (100_000, 100_000));
    assert!(snapshot.overflow_count > 0, "there was always room");
    drop(limit);

    let before = resident();
    let quota = Quota::per_hour(NonZeroU32::new(LIMIT).unwrap());
    let peer: DefaultKeyedRateLimiter<u64> = RateLimiter::dashmap(quota);
    for _ in 0..keys {
        let _ = peer.check_key(&random.next_u64());
    }
    let theirs = grown(before);
    println!(
        "{keys} random keys: +{ours:.1} MiB with 100000 kept, governor +{theirs:.1} MiB with {} kept",
        peer.len()
    );
    assert!(ours <= 24.0, "{ours:.1} MiB");
    // The control: without a bound every key stays.
    assert!(peer.len() > keys - keys / 1000 && theirs > ours);
}
