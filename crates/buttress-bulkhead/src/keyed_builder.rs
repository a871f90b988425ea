use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use buttress_core::ConfigError;
use buttress_keyed::{Keyed, KeyedMap, validate_max_keys};

use crate::config::BulkheadBuilder;
use crate::handle::Bulkhead;
use crate::keyed::KeyedBulkhead;

/// Configures a [`KeyedBulkhead`]: how many keys, beside all that is said of a single bulkhead.
///
/// Made by [`BulkheadBuilder::keyed`].
#[must_use = "a builder does nothing until `build`"]
pub struct KeyedBulkheadBuilder {
    bulkhead: BulkheadBuilder,
    max_keys: u32,
}

impl KeyedBulkheadBuilder {
    pub(crate) const fn new(bulkhead: BulkheadBuilder) -> Self {
        Self {
            bulkhead,
            max_keys: KeyedMap::<u64, u64>::DEFAULT_KEYS,
        }
    }

    /// Keeps this many bulkheads at most: 100 000 by default, 1 to 16 777 216.
    pub const fn max_keys(mut self, keys: u32) -> Self {
        self.max_keys = keys;
        self
    }

    /// Builds it.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build<K>(self) -> KeyedBulkhead<K>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        let name = self.bulkhead.name;
        match self.try_build() {
            Ok(bulkheads) => bulkheads,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("bulkhead `{name}`: {error}"),
        }
    }

    /// Builds it, or says which setting makes no sense.
    ///
    /// # Errors
    /// As [`BulkheadBuilder::try_build`], and when there can be no key or more than 16 777 216.
    pub fn try_build<K>(self) -> Result<KeyedBulkhead<K>, ConfigError>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        validate_max_keys(self.max_keys)?;
        let map = KeyedMap::new(self.max_keys);
        let component = Arc::new(self.bulkhead.component(true)?);
        let make = move || Bulkhead::of(Arc::clone(&component));
        Ok(KeyedBulkhead::of(Keyed::new(map, make)))
    }
}

impl fmt::Debug for KeyedBulkheadBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBulkheadBuilder")
            .field("bulkhead", &self.bulkhead)
            .field("max_keys", &self.max_keys)
            .finish()
    }
}
