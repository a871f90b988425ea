use std::hash::{BuildHasher, RandomState};
// Chance is no part of a machine's logic: it stays std's under loom.
use std::sync::atomic::{AtomicU64, Ordering};

use rand::TryRng;
use rand::rngs::SysRng;

/// Draws numbers that repeat when the seed does.
///
/// `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014) over one atomic counter: any
/// number of threads may draw, without a lock, and the numbers drawn are the same set whatever the threads do. Good for
/// jitter and sampling; not for secrets.
#[derive(Debug)]
pub struct Random(AtomicU64);

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// Draws the sequence that belongs to `seed`.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Draws a sequence that nobody can foresee, seeded by the operating system.
    #[must_use]
    pub fn from_entropy() -> Self {
        // Without the system's source, std's hash keys are as different from run to run as jitter needs.
        let fallback = || RandomState::new().hash_one(GOLDEN_GAMMA);
        Self::seeded(SysRng.try_next_u64().unwrap_or_else(|_| fallback()))
    }

    /// The next number, any of the 2^64.
    #[inline]
    pub fn next_u64(&self) -> u64 {
        let state = self
            .0
            .fetch_add(GOLDEN_GAMMA, Ordering::Relaxed)
            .wrapping_add(GOLDEN_GAMMA);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence_comes_out() {
        // The first numbers of the reference implementation for seed 1234567.
        let random = Random::seeded(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.next_u64()), expected);
    }

    #[test]
    fn two_sources_without_a_seed_differ() {
        assert_ne!(
            Random::from_entropy().next_u64(),
            Random::from_entropy().next_u64()
        );
    }
}
