//! Keys in windows whose rate changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use buttress_rate_limit::{KeyedRateLimit, Rate, RateLimit};

use crate::support::{advance, ms, secs};

/// Two rates that take turns, neither of which allows what is asked for: nobody gets it by half of one and half of the other.
// proves: RL-1
#[test]
fn nobody_takes_by_the_limit_of_one_rate_and_the_width_of_another() {
    let (slow, fast) = (Rate::new(1_000, secs(3_600)), Rate::new(1, ms(1)));
    let limit = RateLimit::builder("per-key").bucketed_window(slow);
    let limit: KeyedRateLimit<u64> = limit.keyed().build();
    drop(limit.try_acquire_many(&1, 1_000).unwrap());
    let mut admitted = 0;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100_000 {
                limit.set_rate(fast).unwrap();
                limit.set_rate(slow).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            let taken = limit.try_acquire_many(&1, 500);
            admitted += taken.map_or(0, |permit| permit.units());
        }
    });
    assert_eq!(admitted, 0);
}

/// Whether the first key is asked in between or not: what it has spent lies in the minute that is in force.
// proves: RL-1, RL-6
#[tokio::test(start_paused = true)]
async fn a_key_that_a_longer_window_limits_is_not_forgotten_for_a_new_one() {
    for is_asked in [true, false] {
        let limit = RateLimit::builder("per-key").bucketed_window(Rate::per_second(10));
        let limit: KeyedRateLimit<u64> = limit.keyed().max_keys(1).build();
        drop(limit.try_acquire_many(&1, 10).unwrap());
        limit.set_rate(Rate::per_minute(10)).unwrap();
        advance(secs(2)).await;
        if is_asked {
            assert!(limit.try_acquire(&1).is_err());
        }
        assert!(limit.try_acquire(&2).is_ok());
        assert_eq!(limit.snapshot().overflow_count, 1);
        assert!(limit.try_acquire(&1).is_err());
        assert_eq!(limit.quota(&1).remaining, 0);

        // A minute later it has nothing spent.
        advance(secs(58)).await;
        assert!(limit.try_acquire(&3).is_ok());
        assert_eq!(limit.snapshot().overflow_count, 1);
    }
}

/// A key takes a window of its own when it comes: before that it has spent nothing, however old the limit is.
// proves: RL-2
#[tokio::test(start_paused = true)]
async fn a_young_key_of_an_old_limit_has_only_its_own_calls_in_a_longer_window() {
    let limit = RateLimit::builder("per-key").bucketed_window(Rate::per_second(10));
    let limit: KeyedRateLimit<u64> = limit.keyed().build();
    advance(secs(70_000)).await;
    drop(limit.try_acquire(&1).unwrap());
    limit.set_rate(Rate::per_minute(20)).unwrap();
    assert_eq!(limit.quota(&1).remaining, 19);
}

/// What a key in a window costs: at first, and when it has to remember much of what the window has forgotten.
#[tokio::test(start_paused = true)]
async fn a_key_remembers_no_more_than_768_bytes_beside_its_window() {
    const KEYS: u64 = 512;
    let limit = RateLimit::builder("per-key").bucketed_window(Rate::new(64, ms(2)));
    let limit: KeyedRateLimit<u64> = limit.keyed().hash_seed(1).build();
    let ask = || (0..KEYS).for_each(|key| drop(limit.try_acquire_many(&key, 64)));
    let made = allocation_counter::measure(ask);
    let per_key = u64::try_from(made.bytes_current).unwrap() / KEYS;
    println!("{per_key} bytes to a key");
    assert!(per_key < 900, "{per_key} with its place in the table");
    for _ in 0..100 {
        advance(ms(2)).await;
        ask();
    }
    limit.set_rate(Rate::new(32, ms(2))).unwrap();
    let made = allocation_counter::measure(ask);
    let per_key = u64::try_from(made.bytes_current).unwrap() / KEYS;
    assert!((1..=768).contains(&per_key), "{per_key} more");
    // From then on a refusal allocates nothing again.
    let made = allocation_counter::measure(ask);
    assert_eq!(made.count_total, 0);
}
