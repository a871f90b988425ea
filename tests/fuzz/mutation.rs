//! Chance from one seed, and what it does to an input.

use buttress_sync::Random;

pub(crate) struct Chance(Random);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::seeded(seed))
    }

    /// In 0..bound; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        match bound {
            0 => 0,
            _ => usize::try_from(self.0.next_u64() % bound as u64).unwrap(),
        }
    }

    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u64() as u8
    }

    /// Changes, adds, removes or doubles a few bytes.
    pub(crate) fn mutate(&mut self, input: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(input.len());
            match self.below(4) {
                0 => input.insert(at, self.byte()),
                1 if !input.is_empty() => input[at] = self.byte(),
                2 if !input.is_empty() => drop(input.remove(at)),
                _ => input.extend_from_within(at..),
            }
        }
    }
}
