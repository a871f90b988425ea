//! What all clones of a keyed handle share.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use buttress_core::{
    ConfigError, Listener, Name, Quota, QuotaPolicy, QuotaSource, Reason, Rejected,
};
use buttress_keyed::MissingKey;
use buttress_sync::{Mutex, Striped};
use buttress_timer::Moment;
use tokio::time::Instant;

use super::KeySettings;
use super::limits::Limits;
use super::taken::Taken;
use crate::config::{Algorithm, Config};
use crate::event::Event;
use crate::rate::Rate;
use crate::refusals::Refusals;
use crate::snapshot::KeyedSnapshot;
use crate::state::{Wait, policy};

pub(super) struct KeyedShared<K> {
    name: Name,
    algorithm: Algorithm,
    limits: Limits<K>,
    missing: MissingKey,
    admitted: Striped<1>,
    without_key: AtomicU64,
    refusals: Refusals,
    origin: Instant,
    /// That of the machines, for those who ask.
    rate: Mutex<Rate>,
    /// Held while all keys take on another rate.
    changing: Mutex<()>,
}

impl<K: Clone + Eq + Hash> KeyedShared<K> {
    pub(super) fn new(
        name: Name,
        config: Config,
        keys: KeySettings,
        listener: Listener<Event>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            name,
            algorithm: config.algorithm,
            limits: Limits::new(config.algorithm, config.rate, keys)?,
            missing: keys.missing,
            admitted: Striped::new(),
            without_key: AtomicU64::new(0),
            refusals: Refusals::new(name, listener),
            origin: Instant::now(),
            rate: Mutex::new(config.rate),
            changing: Mutex::new(()),
        })
    }

    pub(super) const fn name(&self) -> Name {
        self.name
    }

    #[inline(always)]
    fn now(&self) -> Moment {
        Moment::after_start(Instant::now().saturating_duration_since(self.origin))
    }

    /// Takes so many units of this key and makes a permit for them, or refuses. The permit is made in here: what is handed
    /// out goes through memory.
    #[inline(always)]
    pub(super) fn take<Q: Borrow<K>, P>(
        &self,
        key: Q,
        units: u32,
        permit: impl FnOnce(Q, Taken) -> P,
    ) -> Result<P, Rejected> {
        let now = self.now();
        match self.limits.take(key.borrow(), units, now) {
            Ok(taken) => {
                self.admitted.add(0);
                Ok(permit(key, taken))
            }
            Err(wait) => Err(self.refuse(wait, now)),
        }
    }

    /// What becomes of a call without a key.
    #[cold]
    #[inline(never)]
    pub(super) fn take_without_key(&self, units: u32) -> Result<Taken, Rejected> {
        let now = self.now();
        self.without_key.fetch_add(1, Ordering::Relaxed);
        if self.missing == MissingKey::Share {
            let taken = self.limits.take_shared(units, now);
            let taken = taken.map_err(|wait| self.refuse(wait, now))?;
            self.admitted.add(0);
            return Ok(taken);
        }
        // It would be refused again: there is no time to come back.
        Err(self.refusals.throttled(None, now))
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self, wait: Wait, now: Moment) -> Rejected {
        self.refusals.throttled(wait.nanos(), now)
    }

    /// Refuses a call for which nobody waits any more.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse_late(&self) -> Rejected {
        let rejected = Rejected::new(Reason::DeadlineExceeded, self.name);
        self.refusals.note(rejected, self.now());
        rejected
    }

    pub(super) fn correct(&self, key: &K, taken: &mut Taken, cost: u32) {
        self.limits.correct(key, taken, cost, self.now());
    }

    pub(super) fn set_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        self.algorithm.validate(rate)?;
        {
            let _changing = self.changing.lock();
            self.limits.set_rate(self.algorithm, rate, self.now());
            *self.rate.lock() = rate;
        }
        self.refusals.announce(Event::RateChanged { rate });
        Ok(())
    }

    pub(super) fn quota(&self, key: &K) -> Quota {
        self.quota_where(key, false)
    }

    /// What is left where a call has taken its units.
    pub(super) fn quota_after(&self, key: &K, taken: Taken) -> Quota {
        self.quota_where(key, taken.is_shared())
    }

    fn quota_where(&self, key: &K, is_shared: bool) -> Quota {
        let policy = policy(self.algorithm, *self.rate.lock());
        let level = self.limits.level(key, is_shared, self.now());
        Quota {
            policy,
            remaining: level.map_or(policy.limit, |level| level.remaining.into()),
            reset: level.map_or(Duration::ZERO, |level| {
                Duration::from_nanos(level.clear_after)
            }),
        }
    }

    pub(super) fn reset(&self, key: &K) -> bool {
        self.limits.forget(key)
    }

    pub(super) fn snapshot(&self) -> KeyedSnapshot {
        let [admitted] = self.admitted.sums();
        let (keys, max_keys, overflowed) = self.limits.keys();
        KeyedSnapshot {
            name: self.name,
            algorithm: self.algorithm,
            rate: *self.rate.lock(),
            admitted_count: admitted,
            refused_count: self.refusals.count(),
            without_key_count: self.without_key.load(Ordering::Relaxed),
            keys: keys as u64,
            max_keys: max_keys as u64,
            overflow_count: overflowed,
        }
    }
}

impl<K: Send + Sync> QuotaSource for KeyedShared<K> {
    fn name(&self) -> Name {
        self.name
    }

    fn policy(&self) -> QuotaPolicy {
        policy(self.algorithm, *self.rate.lock())
    }
}
