//! A bucket for each key.

use std::hash::Hash;

use buttress_keyed::{KeyedMap, Owner};
use buttress_timer::Moment;

use super::taken::{Origin, Taken};
use crate::config::Algorithm;
use crate::rate::Rate;
use crate::state::bucket::{Bucket, Terms, Word};
use crate::state::{Level, Receipt, Wait, terms};

/// A word for each key. The bucket holds the terms that their generations stand for; nobody takes anything from it.
pub(super) struct Buckets<K> {
    terms: Bucket,
    words: KeyedMap<K, Word>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(super) fn new(terms: Terms, map: KeyedMap<K, Word>) -> Self {
        Self {
            terms: Bucket::new(terms),
            words: map.sharing(Word::FULL),
        }
    }

    pub(super) const fn map(&self) -> &KeyedMap<K, Word> {
        &self.words
    }

    #[inline(always)]
    pub(super) fn take(&self, key: &K, units: u32, now: Moment) -> Result<Taken, Wait> {
        self.with(key, now, move |bucket, word, owner| {
            *word = word.take(bucket.terms_of(*word), units, now)?;
            Ok(Taken::new(Receipt::unplaced(units), Origin::of(owner)))
        })
    }

    pub(super) fn take_shared(&self, units: u32, now: Moment) -> Option<Result<Taken, Wait>> {
        self.share(now, |bucket, word| {
            *word = word.take(bucket.terms_of(*word), units, now)?;
            Ok(Taken::new(Receipt::unplaced(units), Origin::SHARED))
        })
    }

    pub(super) fn charge(&self, key: &K, taken: Taken, units: u32, now: Moment) {
        let charge = |bucket: &Bucket, word: &mut Word| {
            *word = word.charge(bucket.terms_of(*word), units, now);
        };
        if taken.is_shared() {
            self.share(now, charge);
        } else {
            self.with(key, now, |bucket, word, _| charge(bucket, word));
        }
    }

    pub(super) fn give_back(&self, key: &K, taken: &mut Taken, units: u32, now: Moment) {
        self.look(key, taken.is_shared(), now, |bucket, word| {
            let units = taken.receipt.take_back(units);
            *word = word.give_back(bucket.terms_of(*word), units);
        });
    }

    pub(super) fn level(&self, key: &K, is_shared: bool, now: Moment) -> Option<Level> {
        self.look(key, is_shared, now, |bucket, word| {
            word.level(bucket.terms_of(*word), now)
        })
    }

    /// Must not run twice at once.
    pub(super) fn set_rate(&self, algorithm: Algorithm, rate: Rate, now: Moment) {
        if let Ok(terms) = terms(algorithm, rate) {
            self.terms.set_terms(terms, now);
        }
        // Words know no more than the last eight rates, so none may stay behind.
        self.words.for_each(|_, word| {
            *word = self.terms.follow(*word, now);
        });
        self.words.overflow(|word| {
            *word = self.terms.follow(*word, now);
        });
    }

    #[inline(always)]
    fn with<R>(
        &self,
        key: &K,
        now: Moment,
        step: impl FnOnce(&Bucket, &mut Word, Owner) -> R,
    ) -> R {
        self.words.with_owned(
            key,
            || self.terms.word().unspent(),
            move |word| word.is_full(now),
            move |word, owner| {
                let step = |bucket: &Bucket, word: &mut Word| step(bucket, word, owner);
                self.step(word, now, step)
            },
        )
    }

    /// Does something with what a key has, or what all without a place share.
    fn look<R>(
        &self,
        key: &K,
        is_shared: bool,
        now: Moment,
        step: impl FnOnce(&Bucket, &mut Word) -> R,
    ) -> Option<R> {
        if is_shared {
            return self.share(now, step);
        }
        self.words.get(key, |word| self.step(word, now, step))
    }

    fn share<R>(&self, now: Moment, step: impl FnOnce(&Bucket, &mut Word) -> R) -> Option<R> {
        self.words.overflow(|word| self.step(word, now, step))
    }

    #[inline(always)]
    fn step<R>(
        &self,
        word: &mut Word,
        now: Moment,
        step: impl FnOnce(&Bucket, &mut Word) -> R,
    ) -> R {
        if word.generation() != self.terms.word().generation() {
            *word = self.terms.follow(*word, now);
        }
        step(&self.terms, word)
    }
}
