//! governor, the token bucket that others trust: the same decisions and the same waits on every history.

use std::num::NonZeroU32;
use std::time::Duration;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use governor::clock::{Clock, FakeRelativeClock};
use governor::{Quota, RateLimiter};

use super::{Bucket, Wait, at, terms};

fn history(random: &Random, met: &mut [u64; 3]) {
    let below = |bound: u64| random.next_u64() % bound;
    let one_of = |list: [u64; 3]| list[usize::try_from(below(3)).unwrap()];
    let interval = 1 + below(one_of([10, 1_000_000, 5_000_000_000]));
    let burst = 1 + u32::try_from(below(one_of([1, 10, 1000]))).unwrap();
    let clock = FakeRelativeClock::default();
    let start = clock.now();
    let quota = Quota::with_period(Duration::from_nanos(interval)).unwrap();
    let quota = quota.allow_burst(nonzero(burst));
    let theirs = RateLimiter::direct_with_clock(quota, clock.clone());
    let ours = Bucket::new(terms(interval, burst));
    let mut told = 0;
    for _ in 0..200 {
        let wait = match below(4) {
            0 => 0,
            1 => below(3 * interval),
            2 => told,
            _ => below(u64::from(burst) * interval * 2),
        };
        clock.advance(Duration::from_nanos(wait));
        let now = clock.now().as_u64() - start.as_u64();
        let units = 1 + u32::try_from(below(u64::from(burst) + 2)).unwrap();
        let expected = match theirs.check_n(nonzero(units)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(Wait::After(nanos(until.wait_time_from(clock.now())))),
            Err(_) => Err(Wait::Never),
        };
        let answer = ours.take(units, at(now)).map(drop);
        assert_eq!(
            answer, expected,
            "{units} at {now} of {burst} by {interval}"
        );
        if let Err(Wait::After(wait)) = answer {
            told = wait;
        }
        met[match answer {
            Ok(()) => 0,
            Err(Wait::After(_)) => 1,
            Err(Wait::Never) => 2,
        }] += 1;
    }
}

fn nonzero(units: u32) -> NonZeroU32 {
    NonZeroU32::new(units).unwrap()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

// proves: RL-1, RL-3
#[test]
fn governor_decides_the_same_on_every_history() {
    let random = Random::seeded(seed());
    let mut met = [0; 3];
    for _ in 0..deep(2_000, 200_000) {
        history(&random, &mut met);
    }
    let sum: u64 = met.iter().sum();
    println!("admitted, refused, never: {met:?} of {sum}");
    assert!(met.iter().all(|times| times * 100 >= sum));
}
