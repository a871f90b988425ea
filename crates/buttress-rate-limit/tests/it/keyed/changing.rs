//! Keys in windows whose rate changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

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
            while !is_over.load(Ordering::Relaxed) {
                limit.set_rate(fast).unwrap();
                limit.set_rate(slow).unwrap();
            }
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            let taken = limit.try_acquire_many(&1, 500);
            admitted += taken.map_or(0, |permit| permit.units());
        }
        is_over.store(true, Ordering::Relaxed);
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
