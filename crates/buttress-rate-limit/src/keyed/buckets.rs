//! A token bucket for each key.

use std::hash::Hash;

use buttress_core::ConfigError;
use buttress_keyed::{KeyedMap, Whose};
use buttress_timer::Moment;

use super::KeySettings;
use super::place::{Home, Place, Taken};
use crate::config::Algorithm;
use crate::rate::Rate;
use crate::state::bucket::{Bucket, Word};
use crate::state::{Receipt, Wait, terms};

/// A word for each key. The bucket holds the terms that their generations stand for; nobody takes anything from it.
pub(super) struct Buckets<K> {
    terms: Bucket,
    pub(super) words: KeyedMap<K, Word>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(super) fn new(rate: Rate, keys: KeySettings) -> Result<Self, ConfigError> {
        Ok(Self {
            terms: Bucket::new(terms(Algorithm::TokenBucket, rate)?),
            words: keys.map().sharing(Word::FULL),
        })
    }

    #[inline(always)]
    pub(super) fn take(&self, key: &K, units: u32, now: Moment) -> Result<Taken, Wait> {
        self.with(key, now, move |bucket, word, whose| {
            *word = word.take(bucket.terms_of(*word), units, now)?;
            Ok(Taken {
                receipt: Receipt::unplaced(units),
                place: match whose {
                    Whose::Own => Place::Own(0),
                    Whose::Shared => Place::Shared,
                },
            })
        })
    }

    pub(super) fn take_shared(&self, units: u32, now: Moment) -> Option<Result<Receipt, Wait>> {
        self.share(now, |bucket, word| {
            *word = word.take(bucket.terms_of(*word), units, now)?;
            Ok(Receipt::unplaced(units))
        })
    }

    pub(super) fn charge(&self, key: &K, units: u32, now: Moment) {
        self.with(key, now, |bucket, word, _| {
            *word = word.charge(bucket.terms_of(*word), units, now);
        });
    }

    pub(super) fn give_back(&self, home: &Home<K>, units: u32, now: Moment) {
        let give_back = |bucket: &Bucket, word: &mut Word| {
            *word = word.give_back(bucket.terms_of(*word), units);
        };
        match home {
            Home::Own(key, _) => self.look(key, now, give_back),
            Home::Shared => self.share(now, give_back),
        };
    }

    /// Changes the rate of all keys; must not run twice at once.
    pub(super) fn set_rate(&self, rate: Rate, now: Moment) {
        if let Ok(terms) = terms(Algorithm::TokenBucket, rate) {
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
        step: impl FnOnce(&Bucket, &mut Word, Whose) -> R,
    ) -> R {
        self.words.with_whose(
            key,
            || self.terms.word().unspent(),
            move |word| word.is_full(now),
            move |word, whose| self.step(word, now, move |bucket, word| step(bucket, word, whose)),
        )
    }

    pub(super) fn look<R>(
        &self,
        key: &K,
        now: Moment,
        step: impl FnOnce(&Bucket, &mut Word) -> R,
    ) -> Option<R> {
        self.words.get(key, |word| self.step(word, now, step))
    }

    pub(super) fn share<R>(
        &self,
        now: Moment,
        step: impl FnOnce(&Bucket, &mut Word) -> R,
    ) -> Option<R> {
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
