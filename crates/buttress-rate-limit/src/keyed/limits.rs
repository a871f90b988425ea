//! The machines of all keys.

use std::hash::Hash;

use buttress_core::ConfigError;
use buttress_timer::Moment;

use super::KeySettings;
use super::buckets::Buckets;
use super::place::{Home, Taken};
use super::windows::Windows;
use crate::config::Algorithm;
use crate::rate::Rate;
use crate::state::{Level, Receipt, Wait};

/// A machine for each key, used where it lies, under the lock of its shard.
pub(super) enum Limits<K> {
    Buckets(Buckets<K>),
    Windows(Windows<K>),
}

impl<K: Clone + Eq + Hash> Limits<K> {
    pub(super) fn new(
        algorithm: Algorithm,
        rate: Rate,
        keys: KeySettings,
    ) -> Result<Self, ConfigError> {
        Ok(match algorithm {
            Algorithm::TokenBucket => Self::Buckets(Buckets::new(rate, keys)?),
            Algorithm::SlidingWindow | Algorithm::BucketedWindow => {
                Self::Windows(Windows::new(rate, keys))
            }
            Algorithm::LeakyBucket => {
                let problem = "is a leaky bucket, at which calls wait, and nobody waits at a key";
                return Err(ConfigError::new("rate", problem));
            }
        })
    }

    #[inline(always)]
    pub(super) fn take(&self, key: &K, units: u32, now: Moment) -> Result<Taken, Wait> {
        match self {
            Self::Buckets(buckets) => buckets.take(key, units, now),
            Self::Windows(windows) => windows.take(key, units, now),
        }
    }

    /// The same for all that have no key of their own.
    pub(super) fn take_shared(&self, units: u32, now: Moment) -> Result<Receipt, Wait> {
        let taken = match self {
            Self::Buckets(buckets) => buckets.take_shared(units, now),
            Self::Windows(windows) => windows.take_shared(units, now),
        };
        // There is one from the start.
        taken.unwrap_or(Err(Wait::Never))
    }

    /// Takes what a call has cost beyond what it took, or gives back what it took beyond that: where it has taken it. A key that is
    /// gone has nothing spent.
    pub(super) fn correct(&self, home: &Home<K>, receipt: &mut Receipt, units: u32, now: Moment) {
        let taken = receipt.units();
        if units > taken {
            self.charge(home, units - taken, now);
            receipt.add(units - taken);
        } else {
            self.give_back(home, receipt, taken - units, now);
        }
    }

    fn charge(&self, home: &Home<K>, units: u32, now: Moment) {
        match (self, home) {
            (Self::Buckets(buckets), Home::Own(key, _)) => buckets.charge(key, units, now),
            (Self::Windows(windows), Home::Own(key, _)) => windows.charge(key, units, now),
            (Self::Buckets(buckets), Home::Shared) => {
                buckets.share(now, |bucket, word| {
                    *word = word.charge(bucket.terms_of(*word), units, now);
                });
            }
            (Self::Windows(windows), Home::Shared) => {
                windows.share(now, |window| window.charge(units, now));
            }
        }
    }

    fn give_back(&self, home: &Home<K>, receipt: &mut Receipt, units: u32, now: Moment) {
        match (self, home) {
            (Self::Buckets(buckets), home) => {
                let units = receipt.take_back(units);
                buckets.give_back(home, units, now);
            }
            (Self::Windows(windows), Home::Own(key, life)) => {
                windows.give_back((key, *life), receipt, units, now);
            }
            (Self::Windows(windows), Home::Shared) => {
                windows.share(now, |window| window.give_back(receipt, units));
            }
        }
    }

    /// Changes the rate of all keys; must not run twice at once.
    pub(super) fn set_rate(&self, rate: Rate, now: Moment) {
        match self {
            Self::Buckets(buckets) => buckets.set_rate(rate, now),
            Self::Windows(windows) => windows.set_rate(rate),
        }
    }

    /// What is left to a key, if anybody knows it.
    pub(super) fn level(&self, key: &K, now: Moment) -> Option<Level> {
        match self {
            Self::Buckets(buckets) => buckets.look(key, now, |bucket, word| {
                word.level(bucket.terms_of(*word), now)
            }),
            Self::Windows(windows) => windows.look(key, now, |window| window.level(now)),
        }
    }

    /// What is left to those that have no place of their own.
    pub(super) fn shared_level(&self, now: Moment) -> Option<Level> {
        match self {
            Self::Buckets(buckets) => {
                buckets.share(now, |bucket, word| word.level(bucket.terms_of(*word), now))
            }
            Self::Windows(windows) => windows.share(now, |window| window.level(now)),
        }
    }

    pub(super) fn forget(&self, key: &K) -> bool {
        match self {
            Self::Buckets(buckets) => buckets.words.remove(key).is_some(),
            Self::Windows(windows) => windows.windows.remove(key).is_some(),
        }
    }

    /// How many keys there are, how many there may be, and how often one has found no place.
    pub(super) fn keys(&self) -> (usize, usize, u64) {
        match self {
            Self::Buckets(Buckets { words, .. }) => {
                (words.len(), words.max_keys(), words.overflowed())
            }
            Self::Windows(Windows { windows, .. }) => {
                (windows.len(), windows.max_keys(), windows.overflowed())
            }
        }
    }
}
