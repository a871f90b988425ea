use buttress_timer::Moment;

use super::answers::{Level, Wait, clock};
use super::terms::Terms;

/// A token bucket in one word, by the generic cell rate algorithm in its form of virtual scheduling (ATM Forum, *Traffic Management
/// Specification* 4.1, 4.4.2; ITU-T I.371).
///
/// It holds the moment at which the bucket will be full again, the *theoretical arrival time*. A unit taken moves it one interval
/// on; a moment that has passed means a full bucket. So filling it costs nothing, and a full bucket looks like a new one.
///
/// `full_at:61 | generation:3`; the generation says which terms it is about, where these can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// The bits of a generation.
    pub(crate) const GENERATION: u32 = 3;

    /// A bucket that was never used.
    pub(crate) const FULL: Self = Self(0);

    /// A bucket of the same generation that was never used.
    #[inline]
    pub(crate) const fn unspent(self) -> Self {
        self.at(0)
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Which terms it is about.
    #[inline]
    pub(crate) const fn generation(self) -> usize {
        (self.0 & GENERATIONS) as usize
    }

    /// Which terms it will be about when they change.
    pub(super) const fn next_generation(self) -> usize {
        (self.0.wrapping_add(1) & GENERATIONS) as usize
    }

    /// Takes so many units if they are there.
    ///
    /// In any time `t`, units taken less units given back in it are at most `burst + t / interval`: just after a unit is taken at
    /// `e`, the bucket is full at `e + burst × interval` at the latest; since the first one at `s` that moment was at least `s`, and
    /// has moved an interval with each of them.
    #[inline]
    pub(crate) fn take(self, terms: Terms, units: u32, now: Moment) -> Result<Self, Wait> {
        let now = clock(now);
        let base = self.full_at().max(now);
        let spent = base - now;
        let cost = terms.cost(units);
        // A debt leaves no room, but nothing always fits.
        if cost > terms.capacity().saturating_sub(spent) {
            return Err(wait(terms, spent, cost));
        }
        Ok(self.at(base + cost))
    }

    /// Puts back what was taken, as if the bucket had been filled by so much.
    pub(crate) const fn give_back(self, terms: Terms, units: u32) -> Self {
        self.at(self.full_at().saturating_sub(terms.cost(units)))
    }

    /// Takes what was used already, whether it is there or not. The bucket owes one burst at most: what goes beyond is forgiven.
    pub(crate) fn charge(self, terms: Terms, units: u32, now: Moment) -> Self {
        let now = clock(now);
        let base = self.full_at().max(now);
        let due = base.saturating_add(terms.cost(units));
        let most = now + terms.capacity().saturating_mul(2);
        self.at(due.min(most).max(self.full_at()))
    }

    /// Carries what was spent, in units, over to other terms and their generation. Fractions are rounded up.
    pub(crate) fn convert(self, old: Terms, new: Terms, now: Moment) -> Self {
        let now = clock(now);
        let spent = u128::from(self.full_at().saturating_sub(now));
        let wanted = (spent * u128::from(new.interval())).div_ceil(u128::from(old.interval()));
        let full_at = if wanted == 0 {
            self.full_at()
        } else {
            let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
            now.saturating_add(wanted).min(MOST)
        };
        Self(full_at << Self::GENERATION | self.next_generation() as u64)
    }

    /// Whether nothing of it is spent: it cannot be told from a new one.
    #[inline]
    pub(crate) fn is_full(self, now: Moment) -> bool {
        self.full_at() <= clock(now)
    }

    /// The moment, in nanoseconds, from which on so many units are there.
    pub(super) const fn there_at(self, terms: Terms, units: u32) -> u64 {
        let taken = self.full_at().saturating_add(terms.cost(units));
        taken.saturating_sub(terms.capacity())
    }

    /// What is left.
    pub(crate) fn level(self, terms: Terms, now: Moment) -> Level {
        let spent = self.full_at().saturating_sub(clock(now));
        Level {
            remaining: terms.units_in(terms.capacity().saturating_sub(spent)),
            clear_after: spent,
        }
    }

    /// The nanoseconds until so many units are through that are taken one call after the other.
    pub(crate) fn turn(self, terms: Terms, units: u64, now: Moment) -> u64 {
        let spent = self.full_at().saturating_sub(clock(now));
        spent
            .saturating_add(units.saturating_mul(terms.interval()))
            .saturating_sub(terms.capacity())
    }

    #[inline]
    const fn full_at(self) -> u64 {
        self.0 >> Self::GENERATION
    }

    #[inline]
    const fn at(self, full_at: u64) -> Self {
        Self(full_at << Self::GENERATION | self.0 & GENERATIONS)
    }
}

const GENERATIONS: u64 = (1 << Word::GENERATION) - 1;

/// The last moment that fits.
const MOST: u64 = u64::MAX >> Word::GENERATION;

/// How long it takes until there is room. Out of line: a refusal is no hot path, and being told is what the caller waits for.
#[cold]
const fn wait(terms: Terms, spent: u64, cost: u64) -> Wait {
    if cost > terms.capacity() {
        Wait::Never
    } else {
        Wait::After(spent.saturating_add(cost).saturating_sub(terms.capacity()))
    }
}
