//! What is told of lengths of which some were cut short, against all of them to their end.

use std::time::Duration;

use buttress_histogram::{CensoredHistogram, CensoredSnapshot};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use crate::draws::{log_normal, unit};

/// Seconds, by chance.
type Draw = fn(&Random) -> f64;

const DISTRIBUTIONS: [(&str, Draw); 6] = [
    ("log-normal, 0.5", |random| log_normal(random, 0.020, 0.5)),
    ("log-normal, 1", |random| log_normal(random, 0.020, 1.0)),
    ("exponential", |random| -0.020 * unit(random).ln()),
    ("Pareto, 2", |random| 0.001 / unit(random).sqrt()),
    ("uniform", |random| 0.001 + unit(random)),
    ("bimodal", |random| {
        let is_hit = unit(random) <= 0.98;
        log_normal(random, if is_hit { 0.004 } else { 0.080 }, 0.2)
    }),
];

const SHARES: [f64; 4] = [0.5, 0.95, 0.99, 0.999];

fn count() -> usize {
    deep(100_000, 1_000_000)
}

fn length(random: &Random, draw: Draw) -> Duration {
    Duration::from_secs_f64(draw(random))
}

/// The one of the sorted lengths that the share does not exceed, by nearest rank.
fn exact(sorted: &[Duration], share: f64) -> Duration {
    let wanted = share * sorted.len() as f64;
    let rank = (1..sorted.len()).find(|&rank| rank as f64 >= wanted);
    sorted[rank.unwrap_or(sorted.len()) - 1]
}

/// Within 5 %, in whole numbers.
fn assert_within_a_twentieth(told: Duration, least: Duration, most: Duration, what: &str) {
    assert!(
        told * 20 >= least * 19 && told * 20 <= most * 21,
        "{what}: {told:?} instead of {least:?} to {most:?}"
    );
}

// proves: AT-4
#[test]
fn quantiles_are_within_a_twentieth_whatever_the_distribution() {
    let random = Random::seeded(seed());
    for (name, draw) in DISTRIBUTIONS {
        let histogram = CensoredHistogram::new();
        let mut sorted: Vec<_> = (0..count()).map(|_| length(&random, draw)).collect();
        sorted.iter().for_each(|&length| histogram.record(length));
        sorted.sort_unstable();
        let told = histogram.drain().quantiles(SHARES);
        for (told, share) in told.into_iter().zip(SHARES) {
            let exact = exact(&sorted, share);
            let what = format!("{share} of {name}");
            assert_within_a_twentieth(told.unwrap(), exact, exact, &what);
        }
    }
}

/// Every fifth is cut short, at a moment that has nothing to do with its length: two in five have a limit, which is the length
/// of another, and half of those are longer than it. So at any length at least three in five would not have been cut yet.
///
/// The variance of the share that is estimated for a length that the share `q` does not exceed is by Greenwood's formula
/// `(1 - q)^2` times the sum of `d / (n (n - d))` over all up to it. With at least 0.6 of those at risk that there would be with
/// no limits, this is at most `q (1 - q) / (0.6 n)`. The share is off by more than five times its root, and so what is told
/// outside what is exact for the shares within, once in a million.
#[test]
fn quantiles_are_right_where_every_fifth_was_cut_short() {
    let random = Random::seeded(seed());
    for (name, draw) in DISTRIBUTIONS {
        let (snapshot, sorted) = cut_short_at_random(&random, draw);
        let cut = snapshot.censored() as f64 / snapshot.count() as f64;
        assert!((0.19..0.21).contains(&cut), "{name}: {cut}");
        for (told, share) in snapshot.quantiles(SHARES).into_iter().zip(SHARES) {
            let off = 5.0 * (share * (1.0 - share) / (0.6 * sorted.len() as f64)).sqrt();
            let (least, most) = (exact(&sorted, share - off), exact(&sorted, share + off));
            let what = format!("{share} of {name}");
            assert_within_a_twentieth(told.unwrap(), least, most, &what);
        }
    }
}

fn cut_short_at_random(random: &Random, draw: Draw) -> (CensoredSnapshot, Vec<Duration>) {
    let histogram = CensoredHistogram::new();
    let mut sorted: Vec<_> = (0..count())
        .map(|_| length(random, draw))
        .inspect(|&length_of_one| {
            let has_limit = unit(random) <= 0.4;
            let limit = if has_limit {
                length(random, draw)
            } else {
                Duration::MAX
            };
            if length_of_one <= limit {
                histogram.record(length_of_one);
            } else {
                histogram.record_censored(limit);
            }
        })
        .collect();
    sorted.sort_unstable();
    (histogram.drain(), sorted)
}

#[test]
fn what_lies_beyond_a_limit_is_not_known_and_the_rest_is_right() {
    let random = Random::seeded(seed());
    let limit = Duration::from_millis(200);
    for (name, draw) in DISTRIBUTIONS {
        let histogram = CensoredHistogram::new();
        let mut sorted = Vec::new();
        // Three in ten hang.
        for _ in 0..count() {
            let hangs = unit(&random) <= 0.3;
            let length = if hangs {
                Duration::MAX
            } else {
                length(&random, draw)
            };
            sorted.push(length);
            if length <= limit {
                histogram.record(length);
            } else {
                histogram.record_censored(limit);
            }
        }
        sorted.sort_unstable();
        let [known @ .., p71, p95, p99] = histogram.drain().quantiles([0.1, 0.5, 0.71, 0.95, 0.99]);
        assert_eq!([p71, p95, p99], [None; 3], "{name}");
        for (told, share) in known.into_iter().zip([0.1, 0.5]) {
            let exact = exact(&sorted, share);
            let what = format!("{share} of {name}");
            match told {
                Some(told) => assert_within_a_twentieth(told, exact, exact, &what),
                None => assert!(exact > limit, "{what} is {exact:?}"),
            }
        }
    }
}

#[test]
fn nothing_is_known_when_all_were_cut_short() {
    let histogram = CensoredHistogram::new();
    (1..100).for_each(|millis| histogram.record_censored(Duration::from_millis(millis)));
    let snapshot = histogram.drain();
    assert_eq!((snapshot.completed(), snapshot.censored()), (0, 99));
    assert_eq!(snapshot.quantiles([0.0, 0.5, 1.0]), [None; 3]);
}
