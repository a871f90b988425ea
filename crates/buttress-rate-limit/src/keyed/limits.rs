//! The machines of all keys.

use std::hash::Hash;

use buttress_core::ConfigError;
use buttress_keyed::KeyedMap;
use buttress_timer::Moment;

use super::KeySettings;
use super::windows::Windows;
use crate::config::Algorithm;
use crate::rate::Rate;
use crate::state::bucket::{Bucket, Word};
use crate::state::{Level, Receipt, Wait, terms};

/// A machine for each key, used where it lies, under the lock of its shard.
pub(super) enum Limits<K> {
    Buckets(Buckets<K>),
    Windows(Windows<K>),
}

/// A word for each key. The bucket holds the terms that their generations stand for; nobody takes anything from it.
pub(super) struct Buckets<K> {
    terms: Bucket,
    words: KeyedMap<K, Word>,
}

impl<K: Clone + Eq + Hash> Limits<K> {
    pub(super) fn new(
        algorithm: Algorithm,
        rate: Rate,
        keys: KeySettings,
    ) -> Result<Self, ConfigError> {
        Ok(match algorithm {
            Algorithm::TokenBucket => Self::Buckets(Buckets {
                terms: Bucket::new(terms(algorithm, rate)?),
                words: map(keys).sharing(Word::FULL),
            }),
            Algorithm::SlidingWindow | Algorithm::BucketedWindow => {
                Self::Windows(Windows::new(rate, map(keys)))
            }
            Algorithm::LeakyBucket => {
                let problem = "is a leaky bucket, at which calls wait, and nobody waits at a key";
                return Err(ConfigError::new("rate", problem));
            }
        })
    }

    #[inline(always)]
    pub(super) fn take(&self, key: &K, units: u32, now: Moment) -> Result<Receipt, Wait> {
        match self {
            Self::Buckets(buckets) => buckets.with(key, now, move |bucket, word| {
                *word = word.take(bucket.terms_of(*word), units, now)?;
                Ok(Receipt::unplaced(units))
            }),
            Self::Windows(windows) => windows.with(key, now, |window| window.take(units, now)),
        }
    }

    /// The same for all that have no key of their own.
    pub(super) fn take_shared(&self, units: u32, now: Moment) -> Result<Receipt, Wait> {
        let taken = match self {
            Self::Buckets(buckets) => buckets.share(now, |bucket, word| {
                *word = word.take(bucket.terms_of(*word), units, now)?;
                Ok(Receipt::unplaced(units))
            }),
            Self::Windows(windows) => windows.share(now, |window| window.take(units, now)),
        };
        // There is one from the start.
        taken.unwrap_or(Err(Wait::Never))
    }

    /// Takes what a call has cost beyond what it took, or gives back what it took beyond that. A key that is gone has nothing spent;
    /// one that never had a place of its own gives nothing back.
    pub(super) fn correct(&self, key: &K, receipt: &mut Receipt, units: u32, now: Moment) {
        let taken = receipt.units();
        if units > taken {
            self.charge(key, units - taken, now);
            receipt.add(units - taken);
            return;
        }
        match self {
            Self::Buckets(buckets) => buckets.look(key, now, |bucket, word| {
                let units = receipt.take_back(taken - units);
                *word = word.give_back(bucket.terms_of(*word), units);
            }),
            Self::Windows(windows) => windows.look(key, now, |window| {
                window.give_back(receipt, taken - units);
            }),
        };
    }

    fn charge(&self, key: &K, units: u32, now: Moment) {
        match self {
            Self::Buckets(buckets) => buckets.with(key, now, |bucket, word| {
                *word = word.charge(bucket.terms_of(*word), units, now);
            }),
            Self::Windows(windows) => windows.with(key, now, |window| window.charge(units, now)),
        }
    }

    /// Changes the rate of all keys; must not run twice at once.
    pub(super) fn set_rate(&self, algorithm: Algorithm, rate: Rate, now: Moment) {
        match self {
            Self::Buckets(buckets) => {
                if let Ok(terms) = terms(algorithm, rate) {
                    buckets.terms.set_terms(terms, now);
                }
                // Words know no more than the last eight rates, so none may stay behind.
                buckets.words.for_each(|_, word| {
                    *word = buckets.terms.follow(*word, now);
                });
                buckets.words.overflow(|word| {
                    *word = buckets.terms.follow(*word, now);
                });
            }
            Self::Windows(windows) => windows.set_rate(rate),
        }
    }

    pub(super) fn level(&self, key: &K, now: Moment) -> Option<Level> {
        match self {
            Self::Buckets(buckets) => buckets.look(key, now, |bucket, word| {
                word.level(bucket.terms_of(*word), now)
            }),
            Self::Windows(windows) => windows.look(key, now, |window| window.level(now)),
        }
    }

    pub(super) fn forget(&self, key: &K) -> bool {
        match self {
            Self::Buckets(buckets) => buckets.words.remove(key).is_some(),
            Self::Windows(windows) => windows.map().remove(key).is_some(),
        }
    }

    /// How many keys there are, how many there may be, and how often one has found no place.
    pub(super) fn keys(&self) -> (usize, usize, u64) {
        match self {
            Self::Buckets(Buckets { words, .. }) => {
                (words.len(), words.max_keys(), words.overflowed())
            }
            Self::Windows(windows) => {
                let windows = windows.map();
                (windows.len(), windows.max_keys(), windows.overflowed())
            }
        }
    }
}

fn map<K: Clone + Eq + Hash, V>(keys: KeySettings) -> KeyedMap<K, V> {
    match keys.seed {
        Some(seed) => KeyedMap::seeded(keys.max_keys, seed),
        None => KeyedMap::new(keys.max_keys),
    }
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    #[inline(always)]
    fn with<R>(&self, key: &K, now: Moment, step: impl FnOnce(&Bucket, &mut Word) -> R) -> R {
        self.words.with(
            key,
            || self.terms.word().unspent(),
            move |word| word.is_full(now),
            move |word| self.step(word, now, step),
        )
    }

    fn look<R>(
        &self,
        key: &K,
        now: Moment,
        step: impl FnOnce(&Bucket, &mut Word) -> R,
    ) -> Option<R> {
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
