//! The store behind a lock, so that many threads may use it. Keys and answers are hashed, compared, cloned and dropped outside of it.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use buttress_core::Keep;
use buttress_sync::Mutex;
use tokio::time::Instant;

use super::store::{Bounds, Held, Next, Store};
use super::{First, Found};

pub(super) struct Locked<K, V> {
    store: Mutex<Store<(K, V)>>,
    hasher: RandomState,
}

impl<K: Eq + Hash, V: Clone> Locked<K, V> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            store: Mutex::new(Store::new(bounds)),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn put(&self, key: K, value: V, keep: Keep, asked: Instant, now: Instant) {
        let at = self.at(&key);
        let keep = Keep {
            bytes: keep.bytes.saturating_add(weight(&key)),
            ..keep
        };
        let answer = Arc::new((key, value));
        let gone = self.store.lock().put(at, answer, keep, asked, now);
        drop(gone);
    }

    pub(super) fn get(&self, key: &K, now: Instant) -> Option<Found<V>> {
        let at = self.at(key);
        let held = self.store.lock().get(at, now);
        found(key, &held?)
    }

    /// What is kept, or nothing, and the number under which this caller was sent.
    pub(super) fn first(&self, key: &K, now: Instant) -> (First<V>, Option<u64>) {
        let at = self.at(key);
        let next = self.store.lock().first(at, now);
        match next {
            Next::Serve(held) => (found(key, &held).map_or(First::Ask, First::Serve), None),
            Next::Send(number) => (First::Ask, Some(number)),
            Next::Ask => (First::Ask, None),
        }
    }

    pub(super) fn come_back(&self, key: &K, number: u64) {
        let at = self.at(key);
        self.store.lock().come_back(at, number);
    }

    pub(super) fn forget(&self, key: &K, asked: Instant, age: Duration, is_change: bool) {
        let at = self.at(key);
        let gone = self.store.lock().forget(at, asked, age, is_change);
        drop(gone);
    }

    pub(super) fn size(&self) -> (usize, usize) {
        self.store.lock().size()
    }

    fn at(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// A copy of the answer, if it is that of this key: another's hash may be the same.
fn found<K: Eq, V: Clone>(key: &K, held: &Held<(K, V)>) -> Option<Found<V>> {
    let (of, value) = &*held.answer;
    (of == key).then(|| Found {
        value: value.clone(),
        age: held.age,
        fresh: held.fresh,
    })
}

/// The bytes of a key: its own, and those that it is hashed by, which are what it points to.
fn weight<K: Hash>(key: &K) -> usize {
    struct Count(usize);

    impl Hasher for Count {
        fn finish(&self) -> u64 {
            0
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0 += bytes.len();
        }
    }

    let mut count = Count(size_of::<K>());
    key.hash(&mut count);
    count.0
}
