use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use buttress_core::ConfigError;
use buttress_keyed::{Keyed, KeyedMap, validate_max_keys};

use crate::builder::CircuitBreakerBuilder;
use crate::handle::CircuitBreaker;
use crate::keyed::KeyedCircuitBreaker;

/// Configures a [`KeyedCircuitBreaker`]: how many keys, beside all that is said of a single breaker.
///
/// Made by [`CircuitBreakerBuilder::keyed`].
#[must_use = "a builder does nothing until `build`"]
pub struct KeyedCircuitBreakerBuilder {
    breaker: CircuitBreakerBuilder,
    max_keys: u32,
}

impl KeyedCircuitBreakerBuilder {
    pub(crate) const fn new(breaker: CircuitBreakerBuilder) -> Self {
        Self {
            breaker,
            max_keys: KeyedMap::<u64, u64>::DEFAULT_KEYS,
        }
    }

    /// Keeps this many breakers at most: 100 000 by default, 1 to 16 777 216.
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
    pub fn build<K>(self) -> KeyedCircuitBreaker<K>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        let name = self.breaker.name;
        match self.try_build() {
            Ok(breakers) => breakers,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("circuit breaker `{name}`: {error}"),
        }
    }

    /// Builds it, or says which setting makes no sense.
    ///
    /// # Errors
    /// As [`CircuitBreakerBuilder::try_build`], and when there can be no key or more than 16 777 216.
    pub fn try_build<K>(self) -> Result<KeyedCircuitBreaker<K>, ConfigError>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        validate_max_keys(self.max_keys)?;
        let map = match self.breaker.seed {
            Some(seed) => KeyedMap::seeded(self.max_keys, seed),
            None => KeyedMap::new(self.max_keys),
        };
        let component = Arc::new(self.breaker.component(true)?);
        let make = move || CircuitBreaker::of(Arc::clone(&component));
        Ok(KeyedCircuitBreaker::of(Keyed::new(map, make)))
    }
}

impl fmt::Debug for KeyedCircuitBreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCircuitBreakerBuilder")
            .field("breaker", &self.breaker)
            .field("max_keys", &self.max_keys)
            .finish()
    }
}
