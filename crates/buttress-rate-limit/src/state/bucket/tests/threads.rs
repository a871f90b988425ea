use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::{Bucket, at, terms};

const THREADS: u64 = 8;

/// The clock is read some time before the bucket is asked, also in the wrong order. By what each has read, no interval has too many.
// proves: RL-1
#[test]
fn eight_threads_never_admit_more_than_the_bound_in_any_interval() {
    const INTERVAL: u64 = 50;
    const BURST: u32 = 100;
    let attempts = deep(100_000_u64, 10_000_000);
    let bucket = Bucket::new(terms(INTERVAL, BURST));
    let clock = AtomicU64::new(0);
    let seed = seed();
    let run = |thread: u64| {
        let random = Random::seeded(seed ^ thread << 32);
        let mut admitted = Vec::new();
        for _ in 0..attempts {
            let now = clock.fetch_add(random.next_u64() % 8, SeqCst);
            let units = 1 + u32::try_from(random.next_u64() % 3).unwrap();
            if bucket.take(units, at(now)).is_ok() {
                admitted.push((now, u64::from(units)));
            }
        }
        admitted
    };
    let mut admitted: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|id| scope.spawn(move || run(id)))
            .collect();
        (threads.into_iter())
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    admitted.sort_unstable();
    // From i to j, (sum of units) × interval ≤ capacity + time. The worst i for a j is the one with the least of what it adds.
    let (mut before, mut worst_start, mut most) = (0_i128, i128::MAX, 0_i128);
    for &(now, units) in &admitted {
        let (now, cost) = (i128::from(now), i128::from(units * INTERVAL));
        worst_start = worst_start.min(before - now);
        before += cost;
        most = most.max(before - now - worst_start);
    }
    let capacity = i128::from(INTERVAL) * i128::from(BURST);
    println!("{} admitted; at most {most} of {capacity}", admitted.len());
    assert!(most <= capacity);
    let all = i128::from(clock.load(SeqCst)) + capacity;
    assert!(before * 100 >= all * 99, "{before} of {all} were taken");
}

/// With the clock standing still: what is out is never more than the larger of the bursts, whatever is given back and changed, and in
/// the end everything is there again.
// proves: RL-1
#[test]
fn what_eight_threads_hold_at_once_is_never_more_than_the_burst() {
    let attempts = deep(20_000_u64, 1_000_000);
    let bucket = Bucket::new(terms(7, 50));
    let out = AtomicU64::new(0);
    let seed = seed();
    thread::scope(|scope| {
        for id in 0..THREADS {
            let (bucket, out) = (&bucket, &out);
            scope.spawn(move || {
                let random = Random::seeded(seed ^ id << 32);
                for _ in 0..attempts {
                    let units = u32::try_from(random.next_u64() % 12).unwrap();
                    if id == 0 && units == 0 {
                        let interval = 1 + random.next_u64() % 3;
                        bucket.set_terms(terms(interval, 50), at(5));
                    }
                    if bucket.take(units, at(5)).is_ok() {
                        let now_out = out.fetch_add(u64::from(units), SeqCst) + u64::from(units);
                        assert!(now_out <= 50, "{now_out}");
                        out.fetch_sub(u64::from(units), SeqCst);
                        bucket.give_back(units);
                    }
                }
            });
        }
    });
    assert_eq!(bucket.level(at(5)).remaining, 50);
}
