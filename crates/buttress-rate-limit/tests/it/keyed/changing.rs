//! Keys in windows whose rate changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use buttress_rate_limit::{KeyedRateLimit, Rate, RateLimit};

use crate::support::{ms, secs};

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
