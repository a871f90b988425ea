//! The machines of all keys.

use std::hash::Hash;

use buttress_core::ConfigError;
use buttress_keyed::KeyedMap;
use buttress_timer::Moment;

use super::KeySettings;
use super::buckets::Buckets;
use super::taken::Taken;
use super::windows::Windows;
use crate::config::Algorithm;
use crate::rate::Rate;
use crate::state::{Due, Level, Wait, terms};

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
            Algorithm::TokenBucket => {
                Self::Buckets(Buckets::new(terms(algorithm, rate)?, map(keys)))
            }
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
    pub(super) fn take(&self, key: &K, units: u32, now: Moment) -> Result<Taken, Wait> {
        match self {
            Self::Buckets(buckets) => buckets.take(key, units, now),
            Self::Windows(windows) => windows.take(key, units, now),
        }
    }

    /// The same for all that have no key of their own.
    pub(super) fn take_shared(&self, units: u32, now: Moment) -> Result<Taken, Wait> {
        let taken = match self {
            Self::Buckets(buckets) => buckets.take_shared(units, now),
            Self::Windows(windows) => windows.take_shared(units, now),
        };
        // There is one from the start.
        taken.unwrap_or(Err(Wait::Never))
    }

    /// Takes what a call has cost beyond what it took, or gives back what it took beyond that: where it has taken it. A key that is
    /// gone has nothing spent.
    pub(super) fn correct(&self, key: &K, taken: &mut Taken, cost: u32, now: Moment) {
        match (self, taken.receipt.settle(cost)) {
            (Self::Buckets(buckets), Due::Charge(units)) => {
                buckets.charge(key, *taken, units, now);
            }
            (Self::Buckets(buckets), Due::GiveBack(units)) => {
                buckets.give_back(key, taken, units, now);
            }
            (Self::Windows(windows), Due::Charge(units)) => {
                windows.charge(key, *taken, units, now);
            }
            (Self::Windows(windows), Due::GiveBack(units)) => {
                windows.give_back(key, taken, units, now);
            }
        }
    }

    /// Changes the rate of all keys; must not run twice at once.
    pub(super) fn set_rate(&self, algorithm: Algorithm, rate: Rate, now: Moment) {
        match self {
            Self::Buckets(buckets) => buckets.set_rate(algorithm, rate, now),
            Self::Windows(windows) => windows.set_rate(rate),
        }
    }

    /// What is left to a key, or to all that share what is left.
    pub(super) fn level(&self, key: &K, is_shared: bool, now: Moment) -> Option<Level> {
        match self {
            Self::Buckets(buckets) => buckets.level(key, is_shared, now),
            Self::Windows(windows) => windows.level(key, is_shared, now),
        }
    }

    pub(super) fn forget(&self, key: &K) -> bool {
        match self {
            Self::Buckets(buckets) => buckets.map().remove(key).is_some(),
            Self::Windows(windows) => windows.map().remove(key).is_some(),
        }
    }

    /// How many keys there are, how many there may be, and how often one has found no place.
    pub(super) fn keys(&self) -> (usize, usize, u64) {
        match self {
            Self::Buckets(buckets) => {
                let words = buckets.map();
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
