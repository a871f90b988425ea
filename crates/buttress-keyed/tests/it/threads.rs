//! Many threads, and fewer places than keys.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use buttress_keyed::KeyedMap;
use buttress_sync::Random;
use buttress_testkit::{deep, seed};

// proves: RL-5, RL-6
#[test]
fn no_step_is_lost_and_no_key_too_many_is_kept() {
    let (seed, calls) = (seed(), deep(20_000, 1_000_000_u64));
    let map = KeyedMap::<u64, u64>::new(50);
    let longest = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (map, longest) = (&map, &longest);
            scope.spawn(move || {
                let random = Random::seeded(seed ^ thread);
                for _ in 0..calls {
                    let key = random.next_u64() % 100;
                    map.with(&key, || 0, |count| *count == 0, |count| *count += 1);
                    longest.fetch_max(map.len() as u64, Ordering::Relaxed);
                }
            });
        }
    });
    let mut sum = map.overflow(|count| *count).unwrap_or(0);
    assert_eq!(sum, map.overflowed());
    map.for_each(|_, count| sum += *count);
    assert_eq!(sum, 8 * calls);
    assert_eq!((map.len(), longest.into_inner()), (50, 50));
}

/// Keys come, are used, and are as good as new again, on all threads at once: what is in use is never taken away.
// proves: RL-6
#[test]
fn what_is_in_use_stays_while_others_come_and_go() {
    let (seed, calls) = (seed(), deep(5000, 500_000_u64));
    // Of 64 places 16 are in use at most: that a search passes all the idle ones, as they change places, takes 2^-48 of chance.
    let map = KeyedMap::<(u64, u64), u64>::new(64);
    thread::scope(|scope| {
        for thread in 0..8 {
            let map = &map;
            scope.spawn(move || {
                let random = Random::seeded(seed ^ thread);
                for _ in 0..calls {
                    // Two keys at once on each of eight threads.
                    let [one, other] = [0, 1].map(|_| (thread, random.next_u64()));
                    let step = |key, to: u64| {
                        map.with(
                            &key,
                            || 0,
                            |used| *used == 0,
                            |used| std::mem::replace(used, to),
                        )
                    };
                    assert_eq!((step(one, 7), step(other, 8)), (0, 0));
                    assert_eq!((step(one, 0), step(other, 0)), (7, 8));
                }
            });
        }
    });
    assert!(map.len() <= 64);
    assert_eq!(map.overflowed(), 0);
}
