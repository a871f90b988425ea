//! Where random tests take their size and their chance from.

use std::env;
use std::hash::{BuildHasher, RandomState};

/// Chooses the size of a random test: `quick`, or `deep` when `BUTTRESS_DEEP=1` is set.
///
/// # Examples
///
/// ```
/// let calls = buttress_testkit::deep(10_000, 1_000_000);
/// # assert!(calls == 10_000 || calls == 1_000_000);
/// ```
#[must_use]
pub fn deep<T>(quick: T, deep: T) -> T {
    if env::var_os("BUTTRESS_DEEP").is_some_and(|value| value == "1") {
        deep
    } else {
        quick
    }
}

/// The seed of a random test: `BUTTRESS_SEED` when it is set, else a fresh one. Prints it.
///
/// The harness shows the line when the test fails; with the variable set to it the test runs again
/// as it ran.
///
/// # Panics
///
/// Panics when `BUTTRESS_SEED` is set and no decimal number of 64 bits.
#[must_use]
pub fn seed() -> u64 {
    let seed = match env::var("BUTTRESS_SEED") {
        Ok(text) => parse(&text),
        // The standard library seeds its hashers from the operating system.
        Err(_) => RandomState::new().hash_one("seed"),
    };
    announce(seed);
    seed
}

#[expect(
    clippy::print_stdout,
    reason = "a failing random test is worth nothing without its seed"
)]
fn announce(seed: u64) {
    println!("BUTTRESS_SEED={seed}");
}

fn parse(text: &str) -> u64 {
    match text.trim().parse() {
        Ok(seed) => seed,
        Err(_) => panic!("BUTTRESS_SEED is no decimal number of 64 bits: {text:?}"),
    }
}

// === SplitMix64 ===

/// Steele, Lea and Flood's generator (*Fast splittable pseudorandom number generators*, OOPSLA 2014)
/// with the constants of Vigna's `splitmix64.c`.
///
/// Its state only counts up, so any place of the sequence can be reached at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator of its own for each `index`, seeded by the number at that place of the sequence.
    pub(crate) const fn split(seed: u64, index: u64) -> Self {
        let place = seed.wrapping_add(index.wrapping_mul(GAMMA));
        Self::new(Self::new(place).next())
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is small: the remainder's bias is of no account.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder fits its divisor's type"
    )]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    /// A place in a list of this length, which is not empty.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder fits its divisor's type"
    )]
    pub(crate) fn index(&mut self, length: usize) -> usize {
        (self.next() % length as u64) as usize
    }
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_as_it_is_printed() {
        assert_eq!(parse("18446744073709551615"), u64::MAX);
    }

    #[test]
    #[should_panic(expected = "no decimal number of 64 bits: \"0x10\"")]
    fn a_seed_that_is_no_number_is_refused() {
        parse("0x10");
    }

    #[test]
    fn the_generator_repeats_the_published_sequence() {
        // The first numbers of `splitmix64.c` for the seed 1234567.
        let mut random = SplitMix64::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.next(), random.next()], expected);
    }

    #[test]
    fn neighbouring_splits_share_no_number() {
        let numbers = |index| {
            let mut random = SplitMix64::split(7, index);
            (0..100).map(move |_| random.next())
        };
        let all: std::collections::HashSet<u64> = (0..100).flat_map(numbers).collect();
        assert_eq!(all.len(), 10_000);
    }
}
