//! A token bucket that many threads share.

use buttress_sync::Mutex;
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_timer::Moment;

mod answers;
mod terms;
mod word;

#[cfg(all(test, buttress_loom))]
#[expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]
mod loom_tests;
#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail a test"
)]
mod tests;

pub(crate) use self::answers::{LATEST, Level, Wait, clock};
#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
use self::terms::MOST_CAPACITY;
pub(crate) use self::terms::Terms;
pub(crate) use self::word::Word;

/// A [`Word`] for many threads, and the terms that its generations stand for.
///
/// Whoever takes reads the word, then the terms of the generation that stands in it, and exchanges the word: that fails when
/// anything has changed meanwhile, the terms included. A refusal writes nothing.
#[derive(Debug)]
pub(crate) struct Bucket {
    word: AtomicU64,
    /// By generation. Only the place of the next one is ever written, before a word names it.
    terms: [Cell; GENERATIONS],
    /// Held while the terms change.
    changing: Mutex<()>,
}

/// Terms that are read while they may be replaced. Who reads half of one and half of the other finds the generation gone.
#[derive(Debug)]
struct Cell {
    interval: AtomicU64,
    capacity: AtomicU64,
}

const GENERATIONS: usize = 1 << Word::GENERATION;

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            word: AtomicU64::new(Word::FULL.bits()),
            terms: std::array::from_fn(|_| Cell::new(terms)),
            changing: Mutex::new(()),
        }
    }

    /// Takes so many units if they are there. What stands in the bucket then comes back.
    #[inline]
    pub(crate) fn take(&self, units: u32, now: Moment) -> Result<Word, Wait> {
        let mut seen = self.word();
        loop {
            match seen.take(self.terms_of(seen), units, now) {
                Ok(next) => match self.exchange(seen, next) {
                    Ok(()) => return Ok(next),
                    Err(changed) => seen = changed,
                },
                Err(wait) => seen = self.confirm(seen, wait)?,
            }
        }
    }

    /// Takes so many units as of the moment at which they were there, if that is at most `slack` nanoseconds ago.
    pub(crate) fn take_late(&self, units: u32, now: Moment, slack: u64) -> Result<Word, Wait> {
        let (word, terms) = self.read();
        let earliest = now.nanos().saturating_sub(slack);
        let there = word.there_at(terms, units).max(earliest).min(now.nanos());
        self.take(units, Moment::from_nanos(there))
    }

    /// Whether so many units are there; takes none.
    pub(crate) fn check(&self, units: u32, now: Moment) -> Result<(), Wait> {
        let mut seen = self.word();
        loop {
            match seen.take(self.terms_of(seen), units, now) {
                Ok(_) => return Ok(()),
                Err(wait) => seen = self.confirm(seen, wait)?,
            }
        }
    }

    /// The nanoseconds until so many units are through that are taken one call after the other.
    pub(crate) fn turn(&self, units: u64, now: Moment) -> u64 {
        let (word, terms) = self.read();
        word.turn(terms, units, now)
    }

    /// A refusal counts if the terms were those of the generation it has seen, from the first to the last read.
    #[cold]
    fn confirm(&self, seen: Word, wait: Wait) -> Result<Word, Wait> {
        let current = self.word();
        if current.generation() == seen.generation() {
            Err(wait)
        } else {
            Ok(current)
        }
    }

    /// Puts back what was taken.
    pub(crate) fn give_back(&self, units: u32) {
        self.update(|word, terms| word.give_back(terms, units));
    }

    /// Takes what was used already, whether it is there or not.
    pub(crate) fn charge(&self, units: u32, now: Moment) {
        self.update(|word, terms| word.charge(terms, units, now));
    }

    fn update(&self, step: impl Fn(Word, Terms) -> Word) {
        let mut seen = self.word();
        while let Err(changed) = self.exchange(seen, step(seen, self.terms_of(seen))) {
            seen = changed;
        }
    }

    /// Changes the terms. What was spent stays spent, in units.
    pub(crate) fn set_terms(&self, new: Terms, now: Moment) {
        let _changing = self.changing.lock();
        let mut seen = self.word();
        // Nobody else changes the generation, so the old terms and the place of the new ones are fixed.
        let old = self.terms_of(seen);
        if let Some(cell) = self.cell(seen.next_generation()) {
            cell.set(new);
        }
        while let Err(changed) = self.exchange(seen, seen.convert(old, new, now)) {
            seen = changed;
        }
    }

    /// Carries a word that is kept elsewhere, under the terms of this bucket, over to those in force.
    #[cold]
    pub(crate) fn follow(&self, mut word: Word, now: Moment) -> Word {
        while word.generation() != self.word().generation() {
            let next = self.cell(word.next_generation());
            let next = next.map_or(Terms::NOTHING, Cell::get);
            word = word.convert(self.terms_of(word), next, now);
        }
        word
    }

    /// The terms in force.
    pub(crate) fn terms(&self) -> Terms {
        self.read().1
    }

    /// What is left.
    pub(crate) fn level(&self, now: Moment) -> Level {
        let (word, terms) = self.read();
        word.level(terms, now)
    }

    /// What stands in it.
    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// A word and its own terms.
    fn read(&self) -> (Word, Terms) {
        let mut word = self.word();
        loop {
            let terms = self.terms_of(word);
            let current = self.word();
            if current.generation() == word.generation() {
                return (current, terms);
            }
            word = current;
        }
    }

    /// The terms that the generation of a word stands for.
    #[inline]
    pub(crate) fn terms_of(&self, word: Word) -> Terms {
        self.cell(word.generation())
            .map_or(Terms::NOTHING, Cell::get)
    }

    #[inline]
    fn cell(&self, generation: usize) -> Option<&Cell> {
        self.terms.get(generation)
    }

    #[inline]
    fn exchange(&self, seen: Word, next: Word) -> Result<(), Word> {
        self.word
            .compare_exchange_weak(
                seen.bits(),
                next.bits(),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .map(|_| ())
            .map_err(Word::from_bits)
    }
}

impl Cell {
    fn new(terms: Terms) -> Self {
        Self {
            interval: AtomicU64::new(terms.interval()),
            capacity: AtomicU64::new(terms.capacity()),
        }
    }

    // Acquire and release: who reads a new value here also sees that the word has left the generation of the old one.
    #[inline]
    fn get(&self) -> Terms {
        Terms::read(
            self.interval.load(Ordering::Acquire),
            self.capacity.load(Ordering::Acquire),
        )
    }

    fn set(&self, terms: Terms) {
        self.interval.store(terms.interval(), Ordering::Release);
        self.capacity.store(terms.capacity(), Ordering::Release);
    }
}
