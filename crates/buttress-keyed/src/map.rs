use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicU64 as Statistic;

use ahash::RandomState;
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_sync::{Mutex, Random};

pub use crate::room::validate_max_keys;
use crate::room::{self, MOST_KEYS, Room};
use crate::table::{Table, Tag};

#[cfg(all(test, buttress_loom))]
mod loom_tests;
#[cfg(all(test, not(buttress_loom)))]
mod tests;

/// How many locks the keys share. A power of two; fixed, so that finding the shard of a key is one instruction.
pub(crate) const SHARDS: usize = if cfg!(buttress_loom) { 2 } else { 64 };

/// Keeps a value for each key, for a bounded number of keys.
///
/// Made for what is kept for each client, tenant or host, where whoever calls chooses the key, and may choose a new one for every
/// call. Once the map is full, a new key takes the place of one whose value its owner takes for idle: indistinguishable from a new
/// one, so that nobody can tell that it is gone. When none is found, the new key shares one value with all others that come too
/// late, and this is [counted](Self::overflowed).
///
/// Values are used where they lie, under the lock of their shard, one of 64: what a caller does there must be short, and no
/// code of a user. Keys are hashed, cloned and dropped, and values made and dropped, without a lock; only `Eq` of a key that is
/// most likely the same runs under it.
///
/// # Examples
/// ```
/// use buttress_keyed::KeyedMap;
///
/// let visits = KeyedMap::new(1000);
/// let visit = |who: &str| visits.with(&who.to_owned(), || 0, |count| *count == 0, |count| { *count += 1; *count });
/// assert_eq!(visit("anna"), 1);
/// assert_eq!(visit("anna"), 2);
/// assert_eq!(visit("bert"), 1);
/// assert_eq!(visits.len(), 2);
/// ```
pub struct KeyedMap<K, V> {
    shards: [Shard<K, V>; SHARDS],
    hasher: RandomState,
    /// Keys that are there, and those that are about to be.
    held: AtomicU64,
    most: u64,
    /// The shard where the search for room goes on. A hint: no more than chance hangs on it.
    turn: Statistic,
    overflow: Mutex<Option<V>>,
    overflowed: Statistic,
}

/// Whose a value is that a step is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Owner {
    /// The key's own.
    Key,
    /// That of all keys for which there is no room.
    All,
}

/// On lines of its own: 128 bytes, because processors fetch them in pairs.
#[repr(align(128))]
pub(crate) struct Shard<K, V>(pub(crate) Mutex<Table<K, V>>);

/// The shard of a key with this hash.
#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the remainder is below the length, which is known when this is compiled"
)]
pub(crate) const fn shard_of<K, V>(shards: &[Shard<K, V>; SHARDS], hash: u64) -> &Shard<K, V> {
    &shards[hash as usize % SHARDS]
}

impl<K: Hash + Eq + Clone, V> KeyedMap<K, V> {
    /// How many keys a component keeps by default.
    pub const DEFAULT_KEYS: u32 = 100_000;

    /// Keeps `keys` keys at most, hashed by a seed that nobody can foresee. What [`validate_max_keys`] does not like becomes the
    /// nearest number that it does.
    #[must_use]
    pub fn new(keys: u32) -> Self {
        Self::hashed_by(keys, &Random::from_entropy())
    }

    /// The same, with a seed that repeats from run to run: for tests and simulations, never for keys that a stranger may choose.
    #[must_use]
    pub fn seeded(keys: u32, seed: u64) -> Self {
        Self::hashed_by(keys, &Random::seeded(seed))
    }

    fn hashed_by(keys: u32, seeds: &Random) -> Self {
        let [a, b, c, d] = std::array::from_fn(|_| seeds.next_u64());
        Self {
            shards: std::array::from_fn(|_| Shard(Mutex::new(Table::new()))),
            hasher: RandomState::with_seeds(a, b, c, d),
            held: AtomicU64::new(0),
            most: keys.clamp(1, MOST_KEYS).into(),
            turn: Statistic::new(0),
            overflow: Mutex::new(None),
            overflowed: Statistic::new(0),
        }
    }

    /// Shares this value among the keys for which there is no room, in the place of one made when it is first needed.
    #[must_use]
    pub fn sharing(mut self, value: V) -> Self {
        self.overflow = Mutex::new(Some(value));
        self
    }

    /// Does `step` with the value of `key`, and gives back what comes of it.
    ///
    /// A key that is not there gets the value that `make` makes. That may take the place of a key whose value `is_idle` says is
    /// indistinguishable from a new one; without any such the step is done with the value that all keys without one share.
    ///
    /// `step` and `is_idle` run under a lock, and must not use this map; `make` may run in vain, when another thread brings the
    /// same key at the same moment. Should one of them panic, nothing has happened but what it did to the value.
    #[inline(always)]
    pub fn with<R>(
        &self,
        key: &K,
        make: impl FnOnce() -> V,
        is_idle: impl FnMut(&V) -> bool,
        step: impl FnOnce(&mut V) -> R,
    ) -> R {
        self.with_owned(key, make, is_idle, |value, _| step(value))
    }

    /// The same, and tells the step whose value that is.
    #[inline(always)]
    pub fn with_owned<R>(
        &self,
        key: &K,
        make: impl FnOnce() -> V,
        is_idle: impl FnMut(&V) -> bool,
        step: impl FnOnce(&mut V, Owner) -> R,
    ) -> R {
        let hash = self.hash(key);
        if let Some(value) = self.shard(hash).0.lock().find(Tag::of(hash), key) {
            return step(value, Owner::Key);
        }
        self.enter(hash, key, make, is_idle, step)
    }

    /// Does `step` with the value of a key that is there. A key that shares the common value is not.
    #[inline]
    pub fn get<R>(&self, key: &K, step: impl FnOnce(&mut V) -> R) -> Option<R> {
        let hash = self.hash(key);
        let mut table = self.shard(hash).0.lock();
        table.find(Tag::of(hash), key).map(step)
    }

    /// Takes a key out, and gives back its value.
    pub fn remove(&self, key: &K) -> Option<V> {
        let hash = self.hash(key);
        let removed = self.shard(hash).0.lock().remove(Tag::of(hash), key);
        removed.map(|(_, value)| {
            drop(Room::left_in(&self.held));
            value
        })
    }

    /// Takes out all keys whose values are idle, one shard after the other, and tells how many.
    pub fn evict_idle(&self, mut is_idle: impl FnMut(&V) -> bool) -> usize {
        let evict = |shard: &Shard<K, V>| {
            // The lock is released at the end of this line, before the entries are dropped.
            let evicted = shard.0.lock().evict_all(&mut is_idle);
            let rooms = evicted.iter().map(|_| Room::left_in(&self.held));
            rooms.count()
        };
        self.shards.iter().map(evict).sum()
    }

    /// Shows every key and its value, one shard after the other: `look` runs under the lock of the shard, and must not use this
    /// map. Keys that come and go meanwhile may be shown or not; all others are, once.
    pub fn for_each(&self, mut look: impl FnMut(&K, &mut V)) {
        for shard in &self.shards {
            let mut table = shard.0.lock();
            table.iter_mut().for_each(|(key, value)| look(key, value));
        }
    }

    /// Does `step` with the value that keys share for which there was no room, once there is one.
    pub fn overflow<R>(&self, step: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.overflow.lock().as_mut().map(step)
    }

    /// A key that was not there a moment ago.
    #[cold]
    #[inline(never)]
    fn enter<R>(
        &self,
        hash: u64,
        key: &K,
        make: impl FnOnce() -> V,
        is_idle: impl FnMut(&V) -> bool,
        step: impl FnOnce(&mut V, Owner) -> R,
    ) -> R {
        let room = Room::take(&self.held, self.most)
            .or_else(|| room::make(&self.shards, &self.held, hash, &self.turn, is_idle));
        let Some(room) = room else {
            return self.share(hash, key, make, step);
        };
        let (own, mut value) = (key.clone(), make());
        let mut table = self.shard(hash).0.lock();
        if let Some(known) = table.find(Tag::of(hash), key) {
            let done = step(known, Owner::Key);
            // Another thread was faster: ours is dropped without the lock.
            drop(table);
            return done;
        }
        let done = step(&mut value, Owner::Key);
        table.insert(Tag::of(hash), own, value);
        room.keep();
        done
    }

    /// A key for which there is no room.
    fn share<R>(
        &self,
        hash: u64,
        key: &K,
        make: impl FnOnce() -> V,
        step: impl FnOnce(&mut V, Owner) -> R,
    ) -> R {
        if let Some(known) = self.shard(hash).0.lock().find(Tag::of(hash), key) {
            return step(known, Owner::Key);
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        if let Some(shared) = self.overflow.lock().as_mut() {
            return step(shared, Owner::All);
        }
        // Made without the lock, and in vain if another thread was faster; then it is dropped without it, too.
        let made = make();
        let mut overflow = self.overflow.lock();
        match overflow.as_mut() {
            Some(shared) => step(shared, Owner::All),
            None => step(overflow.insert(made), Owner::All),
        }
    }
}

impl<K: Hash, V> KeyedMap<K, V> {
    /// Keyed by this map's own seed, so that nobody can make keys that meet.
    #[inline(always)]
    fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }
}

impl<K, V> KeyedMap<K, V> {
    #[inline(always)]
    const fn shard(&self, hash: u64) -> &Shard<K, V> {
        shard_of(&self.shards, hash)
    }

    /// How many keys are there. While others bring new ones, those are counted a moment before they are there.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.held.load(Ordering::Acquire)).unwrap_or(usize::MAX)
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys there can be.
    #[must_use]
    pub fn max_keys(&self) -> usize {
        usize::try_from(self.most).unwrap_or(usize::MAX)
    }

    /// How many steps were done with the value that keys share for which there was no room.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }
}

impl<K, V> fmt::Debug for KeyedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedMap")
            .field("keys", &self.len())
            .field("max_keys", &self.most)
            .field("overflowed", &self.overflowed())
            .finish_non_exhaustive()
    }
}
