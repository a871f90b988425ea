//! Room for a key: counted before the key is there, and made by taking out one that is idle.

use std::mem;
use std::sync::atomic::AtomicU64 as Statistic;

use buttress_core::ConfigError;
use buttress_sync::atomic::{AtomicU64, Ordering};

use crate::map::{SHARDS, Shard, shard_of};

/// More keys than this are a database.
pub(crate) const MOST_KEYS: u32 = 1 << 24;

/// Says whether a map can be bounded by this many keys: 1 to 16 777 216.
///
/// # Errors
/// When it cannot; the setting is called `max_keys`.
pub fn validate_max_keys(keys: u32) -> Result<(), ConfigError> {
    if keys == 0 || keys > MOST_KEYS {
        let problem = format!("must be in 1..={MOST_KEYS}, not {keys}");
        return Err(ConfigError::new("max_keys", problem));
    }
    Ok(())
}

/// How many entries a new key looks at in its own shard, where one that is found costs least …
const LOOKS_AT_HOME: usize = 16;
/// … and how many in the others, in turn.
const LOOKS_AROUND: usize = 48;

/// Room for one key: given back when dropped, unless a key took it.
pub(crate) struct Room<'a>(&'a AtomicU64);

impl<'a> Room<'a> {
    /// Takes room, while fewer than `most` keys have it.
    pub(crate) fn take(held: &'a AtomicU64, most: u64) -> Option<Self> {
        let one_more = |held| (held < most).then_some(held + 1);
        let taken = held.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.is_ok().then(|| Self(held))
    }

    /// The room of a key that has just left it.
    pub(crate) const fn left_in(held: &'a AtomicU64) -> Self {
        Self(held)
    }

    /// A key is there now, and counts.
    pub(crate) const fn keep(self) {
        mem::forget(self);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Takes out a key that is idle, and leaves its room to whoever asked.
///
/// Looks at a bounded number of entries and goes on there the next time, so that a key that stays idle is found by one of the next
/// new keys for certain: the hand of each shard goes round, and so does the turn of the shards. Never holds two locks.
pub(crate) fn make<'a, K: Eq, V>(
    shards: &[Shard<K, V>; SHARDS],
    held: &'a AtomicU64,
    hash: u64,
    turn: &Statistic,
    mut is_idle: impl FnMut(&V) -> bool,
) -> Option<Room<'a>> {
    let mut evict_from = |shard: &Shard<K, V>, looks: &mut usize| {
        // The lock is released at the end of this line, before the entry is dropped.
        let evicted = shard.0.lock().evict(looks, &mut is_idle)?;
        let room = Room::left_in(held);
        drop(evicted);
        Some(room)
    };
    let mut looks = LOOKS_AT_HOME;
    let at_home = evict_from(shard_of(shards, hash), &mut looks);
    if at_home.is_some() {
        return at_home;
    }
    let mut looks = LOOKS_AROUND;
    let first = turn.fetch_add(1, Ordering::Relaxed);
    for step in 0..SHARDS as u64 {
        let found = evict_from(shard_of(shards, first.wrapping_add(step)), &mut looks);
        if found.is_some() || looks == 0 {
            return found;
        }
    }
    None
}
