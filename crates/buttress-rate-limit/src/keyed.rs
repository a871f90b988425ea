//! A limit for each key.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use buttress_core::{
    Condition, ConfigError, Fact, Inspect, Name, Quota, QuotaSource, Rejected, Value,
};
use buttress_keyed::{KeyedMap, MissingKey, validate_max_keys};

use crate::config::RateLimitBuilder;
use crate::rate::Rate;
use crate::snapshot::KeyedSnapshot;

mod buckets;
mod gate;
mod in_force;
mod layer;
mod limits;
mod permit;
mod shared;
mod taken;
mod windows;

pub use self::gate::KeyedGate;
pub use self::layer::KeyedRateLimitLayer;
pub use self::permit::KeyedPermit;
use self::shared::KeyedShared;

/// Limits how often the calls of each client, tenant or route start: a limit of its own for each key.
///
/// The handle owns the state; clones share it, and so do the services of every layer made from it. `K` is the key; where a layer is
/// made it follows from what gives it.
///
/// # Examples
/// ```
/// use buttress_rate_limit::{Rate, RateLimit};
///
/// let per_user = RateLimit::builder("per-user").token_bucket(Rate::per_minute(1)).keyed().build();
/// assert!(per_user.try_acquire(&"anna").is_ok());
/// assert!(per_user.try_acquire(&"anna").is_err());
/// assert!(per_user.try_acquire(&"bert").is_ok());
/// ```
pub struct KeyedRateLimit<K>(Arc<KeyedShared<K>>);

/// What can be a key.
impl<K: Clone + Eq + Hash + Send + Sync + 'static> KeyedRateLimit<K> {
    /// Stands before a service, takes each request's key from `key`, and refuses what comes too often of one key. Every layer made
    /// here shares this limit.
    ///
    /// `key` is a closure `Fn(&Req) -> Option<K>`, or one of those of `buttress-http`: `ClientIp`, `by_header`, `by_path`.
    pub fn by<X>(&self, key: X) -> KeyedRateLimitLayer<K, X> {
        KeyedRateLimitLayer::of(self.clone(), key)
    }

    /// Takes one unit of this key, or refuses; never waits.
    ///
    /// # Errors
    /// As [`RateLimit::try_acquire`](crate::RateLimit::try_acquire).
    pub fn try_acquire(&self, key: &K) -> Result<KeyedPermit<K>, Rejected> {
        self.try_acquire_many(key, 1)
    }

    /// Takes so many units of this key, or none and refuses.
    ///
    /// # Errors
    /// As [`RateLimit::try_acquire_many`](crate::RateLimit::try_acquire_many).
    pub fn try_acquire_many(&self, key: &K, units: u32) -> Result<KeyedPermit<K>, Rejected> {
        self.0.take(key, units, |key, taken| {
            let kept = Some((Arc::clone(&self.0), key.clone()));
            KeyedPermit::new(kept, taken)
        })
    }

    /// Changes the rate of every key. What was spent stays spent: in units at a bucket, call by call in a window.
    ///
    /// Goes through all buckets, a part at a time; a call that comes meanwhile goes by the new rate at once. A window follows when its
    /// key is asked next: then it is laid anew, for a few microseconds, and may allocate up to 768 bytes for what it has to remember
    /// beside its slots. What a longer window would hold again is kept as by [`RateLimit::set_rate`](crate::RateLimit::set_rate), and
    /// until it has left the longer window its key is not forgotten for a new one. A key that has nothing in the window in force, nor
    /// in its own that has not followed yet, may be; what a still longer one would hold is gone with it.
    ///
    /// # Errors
    /// When a limit of this kind cannot have this rate; the old one stays.
    pub fn set_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        self.0.set_rate(rate)
    }

    /// How much is left to this key at this moment: all of it, if nobody knows the key.
    #[must_use]
    pub fn quota(&self, key: &K) -> Quota {
        self.0.quota(key)
    }

    /// Forgets what this key has spent; tells whether there was such a key.
    pub fn reset(&self, key: &K) -> bool {
        self.0.reset(key)
    }

    /// The figures of this moment.
    #[must_use]
    pub fn snapshot(&self) -> KeyedSnapshot {
        self.0.snapshot()
    }

    /// The limit's name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.0.name()
    }

    fn quota_source(&self) -> Arc<dyn QuotaSource> {
        Arc::clone(&self.0) as Arc<dyn QuotaSource>
    }
}

impl<K> Clone for KeyedRateLimit<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Inspect for KeyedRateLimit<K> {
    fn name(&self) -> Name {
        self.0.name()
    }

    fn kind(&self) -> &'static str {
        "rate_limiters"
    }

    /// Degraded while keys find no place of their own.
    fn condition(&self) -> Condition {
        let snapshot = self.snapshot();
        if snapshot.keys >= snapshot.max_keys && snapshot.overflow_count > 0 {
            Condition::Degraded
        } else {
            Condition::Up
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let snapshot = self.snapshot();
        vec![
            ("algorithm", Value::Word(snapshot.algorithm.as_str())),
            ("admitted_calls", Value::Count(snapshot.admitted_count)),
            ("rejected_calls", Value::Count(snapshot.refused_count)),
            ("without_key", Value::Count(snapshot.without_key_count)),
            ("keys", Value::Count(snapshot.keys)),
            ("max_keys", Value::Count(snapshot.max_keys)),
            ("overflowed", Value::Count(snapshot.overflow_count)),
        ]
    }
}

impl<K> fmt::Debug for KeyedRateLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimit").finish_non_exhaustive()
    }
}

/// Configures a [`KeyedRateLimit`]; made by [`RateLimitBuilder::keyed`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct KeyedRateLimitBuilder {
    limit: RateLimitBuilder,
    keys: KeySettings,
}

/// Every setting of keys, once.
#[derive(Clone, Copy, Debug)]
struct KeySettings {
    max_keys: u32,
    missing: MissingKey,
    seed: Option<u64>,
}

impl KeyedRateLimitBuilder {
    pub(crate) const fn new(limit: RateLimitBuilder) -> Self {
        Self {
            limit,
            keys: KeySettings {
                max_keys: KeyedMap::<(), ()>::DEFAULT_KEYS,
                missing: MissingKey::Refuse,
                seed: None,
            },
        }
    }

    /// Keeps so many keys at the most: 100 000 by default, 1 to 16 777 216.
    ///
    /// Once they are all there a new key takes the place of one that has nothing spent; while there is none, new keys share one
    /// limit.
    pub const fn max_keys(mut self, keys: u32) -> Self {
        self.keys.max_keys = keys;
        self
    }

    /// Says what happens to a request without a key. By default it is refused.
    pub const fn missing_key(mut self, missing: MissingKey) -> Self {
        self.keys.missing = missing;
        self
    }

    /// Hashes keys by this seed, which repeats from run to run: for tests and simulations. By default nobody can foresee it, and for
    /// keys that a stranger may choose that is how it must be.
    pub const fn hash_seed(mut self, seed: u64) -> Self {
        self.keys.seed = Some(seed);
        self
    }

    /// Builds the limit.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build<K: Clone + Eq + Hash + Send + Sync + 'static>(self) -> KeyedRateLimit<K> {
        let name = self.limit.name;
        match self.try_build() {
            Ok(limit) => limit,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("rate limit `{name}`: {error}"),
        }
    }

    /// Builds the limit, or says which setting makes no sense.
    ///
    /// # Errors
    /// As [`RateLimitBuilder::try_build`]; a leaky bucket, at which calls wait; a number of keys that is none.
    pub fn try_build<K>(self) -> Result<KeyedRateLimit<K>, ConfigError>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        let RateLimitBuilder {
            name,
            config,
            listener,
        } = self.limit;
        name.validate()?;
        config.validate()?;
        validate_max_keys(self.keys.max_keys)?;
        let shared = KeyedShared::new(name, config, self.keys, listener)?;
        Ok(KeyedRateLimit(Arc::new(shared)))
    }
}
