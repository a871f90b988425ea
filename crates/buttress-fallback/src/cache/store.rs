//! A bounded store of answers by key. No clock, no lock.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::{First, Found};

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    /// So young an answer is as good as one of the primary.
    pub(crate) fresh: Duration,
    /// So old an answer is better than none.
    pub(crate) stale: Duration,
}

/// What is kept, the oldest of which makes room for the next.
#[derive(Debug)]
pub(crate) struct Store<K, V> {
    bounds: Bounds,
    entries: HashMap<K, Entry<V>>,
    /// The keys in the order in which their answers came.
    order: BTreeMap<u64, K>,
    bytes: usize,
    number: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    stored: Instant,
    number: u64,
    /// Whether somebody has been sent for another.
    is_awaited: bool,
}

impl<K: Clone + Eq + Hash, V: Clone> Store<K, V> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            bytes: 0,
            number: 0,
        }
    }

    /// Keeps an answer, in the place of one that is there. One that is too large is not kept, nor is the one before: it is outdated.
    pub(crate) fn put(&mut self, key: K, value: V, bytes: usize, now: Instant) {
        self.remove(&key);
        self.forget_outdated(now);
        if bytes > self.bounds.bytes || self.bounds.entries == 0 {
            return;
        }
        while self.entries.len() >= self.bounds.entries
            || self
                .bytes
                .checked_add(bytes)
                .is_none_or(|all| all > self.bounds.bytes)
        {
            if !self.forget_oldest() {
                break;
            }
        }
        self.number += 1;
        self.bytes += bytes;
        self.order.insert(self.number, key.clone());
        let entry = Entry {
            value,
            bytes,
            stored: now,
            number: self.number,
            is_awaited: false,
        };
        self.entries.insert(key, entry);
    }

    /// What is kept for this key, unless it is too old.
    pub(crate) fn get(&self, key: &K, now: Instant) -> Option<Found<V>> {
        let entry = self.entries.get(key)?;
        let age = now.saturating_duration_since(entry.stored);
        (age < self.bounds.stale || age.is_zero()).then(|| Found {
            value: entry.value.clone(),
            age,
            fresh: age < self.bounds.fresh,
        })
    }

    /// What is kept for this key, if nobody need be asked: it is fresh, or somebody has been sent already. `Ask(true)` sends this
    /// caller, who says so when it is back.
    pub(crate) fn first(&mut self, key: &K, now: Instant) -> (First<V>, bool) {
        let Some(found) = self.get(key, now) else {
            return (First::Ask, false);
        };
        if found.fresh {
            return (First::Serve(found), false);
        }
        match self.entries.get_mut(key) {
            Some(entry) if !entry.is_awaited => {
                entry.is_awaited = true;
                (First::Ask, true)
            }
            _ => (First::Serve(found), false),
        }
    }

    /// Whoever was sent has come back with nothing.
    pub(crate) fn is_back(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.is_awaited = false;
        }
    }

    /// How many answers are kept, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
            self.bytes -= entry.bytes;
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.order.first_key_value().map(|(_, key)| key.clone());
        oldest.inspect(|key| self.remove(key)).is_some()
    }

    fn forget_outdated(&mut self, now: Instant) {
        while let Some((_, key)) = self.order.first_key_value() {
            let key = key.clone();
            if self.get(&key, now).is_some() {
                break;
            }
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
