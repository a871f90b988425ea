//! Numbers by chance, as lengths are met in life.

use std::f64::consts::TAU;

use buttress_sync::Random;

/// A number above 0, and at most 1.
pub(crate) fn unit(random: &Random) -> f64 {
    ((random.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// By Box and Muller.
fn normal(random: &Random) -> f64 {
    (-2.0 * unit(random).ln()).sqrt() * (TAU * unit(random)).cos()
}

pub(crate) fn log_normal(random: &Random, median: f64, sigma: f64) -> f64 {
    median * (sigma * normal(random)).exp()
}
