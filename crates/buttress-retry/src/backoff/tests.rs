use std::time::Duration;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn delays(backoff: &Backoff, retries: u32) -> Vec<u128> {
    let random = Random::seeded(1);
    let mut previous = Duration::ZERO;
    let delays = (1..=retries).map(|retry| {
        previous = backoff.delay(retry, previous, Duration::ZERO, &random);
        previous.as_millis()
    });
    delays.collect()
}

#[test]
fn without_jitter_every_growth_is_what_its_name_says() {
    let base = 100 * MILLISECOND;
    let plain = |backoff: Backoff| delays(&backoff.jitter(Jitter::None), 6);
    assert_eq!(plain(Backoff::default()), [100, 200, 400, 800, 1600, 3200]);
    assert_eq!(
        plain(Backoff::exponential(base).factor(1.5)),
        [100, 150, 225, 337, 506, 759]
    );
    assert_eq!(plain(Backoff::linear(base)), [100, 200, 300, 400, 500, 600]);
    assert_eq!(
        plain(Backoff::fibonacci(base)),
        [100, 100, 200, 300, 500, 800]
    );
    assert_eq!(plain(Backoff::constant(base)), [100; 6]);
    assert_eq!(
        plain(Backoff::custom(|retry| retry * MILLISECOND)),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        plain(Backoff::exponential(base).cap(5 * base)),
        [100, 200, 400, 500, 500, 500]
    );
}

#[test]
fn each_jitter_keeps_to_its_range_and_uses_it() {
    let random = Random::seeded(seed());
    let base = 100 * MILLISECOND;
    for (jitter, low, high) in [
        (Jitter::Proportional, 50, 150),
        (Jitter::Full, 0, 100),
        (Jitter::Equal, 50, 100),
        (Jitter::None, 100, 100),
    ] {
        let backoff = Backoff::constant(base).jitter(jitter);
        let drawn = (0..10_000).map(|_| backoff.delay(1, base, Duration::ZERO, &random));
        let (least, most) = drawn.fold((Duration::MAX, Duration::ZERO), |(least, most), delay| {
            (least.min(delay), most.max(delay))
        });
        let near =
            |delay: Duration, to: u64| delay.abs_diff(Duration::from_millis(to)) <= MILLISECOND;
        assert!(
            near(least, low) && near(most, high),
            "{jitter:?}: {least:?} to {most:?}"
        );
    }
}

#[test]
fn at_the_cap_the_delays_are_spread_below_it() {
    let random = Random::seeded(seed());
    let backoff = Backoff::default();
    let delays: Vec<_> = (0..1_000)
        .map(|_| backoff.delay(u32::MAX, Duration::MAX, Duration::ZERO, &random))
        .collect();
    let at_the_cap = delays
        .iter()
        .filter(|delay| delay.as_secs_f64() > 59.9)
        .count();
    assert!(at_the_cap < 50, "{at_the_cap} of 1000 at the cap");
    assert!(delays.iter().all(|delay| delay.as_secs() >= 30));
}

fn any_backoff(random: &Random) -> Backoff {
    let nanos = |random: &Random| random.next_u64() >> (random.next_u64() % 64);
    let base = Duration::from_nanos(nanos(random));
    let extreme = Duration::from_nanos(nanos(random)).saturating_mul(u32::MAX);
    let backoff = match random.next_u64() % 8 {
        0 => Backoff::constant(base),
        1 => Backoff::linear(base),
        2 => Backoff::fibonacci(base),
        3 => Backoff::decorrelated(base),
        4 => Backoff::custom(move |retry| base.saturating_mul(retry)),
        5 => Backoff::custom(|_| Duration::MAX),
        6 => Backoff::exponential(extreme),
        _ => Backoff::exponential(base).factor(f64::from_bits(random.next_u64())),
    };
    let jitters = [
        Jitter::Proportional,
        Jitter::Full,
        Jitter::Equal,
        Jitter::None,
    ];
    let cap = match random.next_u64() % 4 {
        0 => Duration::ZERO,
        1 => Duration::MAX,
        _ => Duration::from_nanos(nanos(random)),
    };
    backoff
        .jitter(jitters[(random.next_u64() % 4) as usize])
        .cap(cap)
}

// proves: RB-6
#[test]
fn every_delay_of_every_configuration_lies_between_zero_and_the_cap() {
    let random = Random::seeded(seed());
    for _ in 0..deep(100_000, 10_000_000) {
        let backoff = any_backoff(&random);
        let retry = (random.next_u64() >> (random.next_u64() % 64)) as u32;
        let previous = Duration::from_nanos(random.next_u64());
        let least = Duration::from_nanos(random.next_u64() >> (random.next_u64() % 64));
        for retry in [retry, 0, 1, u32::MAX] {
            let delay = backoff.delay(retry, previous, least, &random);
            assert!(delay <= backoff.cap, "{backoff:?} {retry} {delay:?}");
        }
    }
}

// proves: RB-7
#[test]
fn a_hint_is_waited_for_and_a_little_more_and_one_above_the_cap_is_none() {
    let random = Random::seeded(seed());
    for _ in 0..deep(100_000, 10_000_000) {
        let backoff = any_backoff(&random);
        let hint = Duration::from_nanos(random.next_u64() >> (random.next_u64() % 64));
        let own = backoff.delay(1, hint, Duration::ZERO, &random);
        match backoff.hinted(hint, own, &random) {
            None => assert!(hint > backoff.cap),
            Some(delay) => {
                assert!(hint <= delay && delay <= backoff.cap, "{hint:?} {delay:?}");
                let most = hint.max(own).as_secs_f64() * 1.11 + 1e-6;
                assert!(delay.as_secs_f64() <= most);
            }
        }
    }
}
