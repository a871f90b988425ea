//! What is told against what was recorded, over lengths as they are met in life.

use std::time::Duration;

use buttress_histogram::{Histogram, HistogramSnapshot};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use crate::draws::{log_normal, unit};

const HOUR: f64 = 3600.0;

/// Checks every per mille of as many lengths, in seconds, as `draw` gives.
fn check(least_buckets: usize, draw: impl Fn(&Random) -> f64) {
    let random = Random::seeded(seed());
    let histogram = Histogram::new();
    let mut sorted: Vec<Duration> = (0..deep(10_000, 1_000_000))
        .map(|_| Duration::from_secs_f64(draw(&random).clamp(1e-6, HOUR)))
        .inspect(|&duration| histogram.record(duration))
        .collect();
    sorted.sort_unstable();

    let snapshot = histogram.snapshot();
    let in_use = snapshot.buckets().filter(|&(_, count)| count > 0).count();
    assert!(in_use >= least_buckets, "only {in_use} buckets were met");
    assert_eq!(snapshot.count(), sorted.len() as u64);
    for per_mille in 0..=1000 {
        let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
        let told = snapshot.quantile(per_mille as f64 / 1000.0).unwrap();
        assert_near(told, sorted[rank - 1], per_mille);
    }
    check_mean_and_max(&snapshot, &sorted);
}

fn check_mean_and_max(snapshot: &HistogramSnapshot, sorted: &[Duration]) {
    let sum: u128 = sorted.iter().map(Duration::as_nanos).sum();
    let mean = u64::try_from(sum / sorted.len() as u128).unwrap();
    assert_near(snapshot.mean().unwrap(), Duration::from_nanos(mean), "mean");
    let longest = sorted[sorted.len() - 1];
    let max = snapshot.max().unwrap();
    assert!(
        max >= longest && max <= longest * 17 / 16,
        "{max:?} for {longest:?}"
    );
}

/// Within 3.2 % of the exact one, in whole numbers.
fn assert_near(told: Duration, exact: Duration, what: impl std::fmt::Debug) {
    let error = told.abs_diff(exact);
    assert!(
        error * 1000 <= exact * 32,
        "{what:?}: {told:?} instead of {exact:?}"
    );
}

#[test]
fn quantiles_of_uniform_lengths_are_right() {
    check(50, |random| 0.001 + unit(random));
}

#[test]
fn quantiles_of_exponential_lengths_are_right() {
    check(50, |random| -0.020 * unit(random).ln());
}

#[test]
fn quantiles_of_log_normal_lengths_are_right() {
    check(50, |random| log_normal(random, 0.020, 0.5));
}

#[test]
fn quantiles_of_bimodal_lengths_are_right() {
    check(50, |random| {
        let hit = unit(random) <= 0.9;
        log_normal(random, if hit { 0.000_5 } else { 0.8 }, 0.2)
    });
}

#[test]
fn quantiles_of_one_length_are_right() {
    check(1, |_| 0.037);
}

#[test]
fn quantiles_of_heavy_tailed_lengths_are_right() {
    check(100, |random| 0.000_1 / unit(random).powf(1.0 / 0.9));
}
