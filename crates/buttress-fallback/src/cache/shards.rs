//! The store behind locks, so that many threads may use it.

use std::hash::{BuildHasher, Hash, RandomState};

use buttress_sync::Mutex;
use tokio::time::Instant;

use super::store::{Bounds, Store};
use super::{First, Found};

/// From so many entries on there are several locks.
const LARGE: usize = 1024;
const SHARDS: usize = 16;

pub(super) struct Shards<K, V> {
    shards: Box<[Mutex<Store<K, V>>]>,
    hasher: RandomState,
}

impl<K: Clone + Eq + Hash, V: Clone> Shards<K, V> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let number = if bounds.entries < LARGE { 1 } else { SHARDS };
        let each = Bounds {
            entries: bounds.entries / number,
            bytes: bounds.bytes / number,
            ..bounds
        };
        Self {
            shards: (0..number).map(|_| Mutex::new(Store::new(each))).collect(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn put(&self, key: K, value: V, bytes: usize, now: Instant) {
        if let Some(shard) = self.of(&key) {
            shard.lock().put(key, value, bytes, now);
        }
    }

    pub(super) fn get(&self, key: &K, now: Instant) -> Option<Found<V>> {
        self.of(key)?.lock().get(key, now)
    }

    pub(super) fn first(&self, key: &K, now: Instant) -> (First<V>, bool) {
        match self.of(key) {
            Some(shard) => shard.lock().first(key, now),
            None => (First::Ask, false),
        }
    }

    pub(super) fn is_back(&self, key: &K) {
        if let Some(shard) = self.of(key) {
            shard.lock().is_back(key);
        }
    }

    pub(super) fn size(&self) -> (usize, usize) {
        let sizes = self.shards.iter().map(|shard| shard.lock().size());
        sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "any part of a hash is as good as another"
    )]
    fn of(&self, key: &K) -> Option<&Mutex<Store<K, V>>> {
        let number = self.hasher.hash_one(key) as usize % self.shards.len().max(1);
        self.shards.get(number)
    }
}
