use std::fmt;
use std::hash::Hash;

use buttress_core::{Condition, Fact, Inspect, Name, Reason, Rejected, Value};
use buttress_keyed::{Keyed, KeyedLayer, PerKey, is_held_once};

use crate::handle::CircuitBreaker;
use crate::keyed_snapshot::{KeyedSnapshot, States};

/// Keeps one circuit breaker for each key: each host, each tenant.
///
/// The settings, the name, the observer and the counts are of all of them; the state is each key's own. A breaker that is closed,
/// has nothing bad in its windows and no call under way may be forgotten to make room; an open one stays. Keys for which there is
/// no room share one breaker. Clones share all of it, and so do the services of every layer made from it.
///
/// # Examples
/// ```
/// use buttress_circuit_breaker::{CircuitBreaker, KeyedCircuitBreaker, State};
///
/// struct Query { host: String }
///
/// let breakers: KeyedCircuitBreaker<String> = CircuitBreaker::builder("upstreams").keyed().build();
/// let stack = tower::ServiceBuilder::new().layer(breakers.by(|query: &Query| Some(query.host.clone())));
///
/// let breaker = breakers.get(&"10.0.0.7".to_owned());
/// assert_eq!(breaker.snapshot().state, State::Closed);
/// assert_eq!(breakers.snapshot().keys, 1);
/// # let _ = stack;
/// ```
pub struct KeyedCircuitBreaker<K>(Keyed<K, CircuitBreaker>);

impl<K> KeyedCircuitBreaker<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    pub(crate) const fn of(breakers: Keyed<K, CircuitBreaker>) -> Self {
        Self(breakers)
    }

    /// The breaker of this key: its own, or the one that keys share while there is no room.
    ///
    /// Its counts (succeeded, failed, neutral, the time of the last failure) are those of all keys.
    #[inline]
    #[must_use]
    pub fn get(&self, key: &K) -> CircuitBreaker {
        self.0.get(key)
    }

    /// The breaker of this key, if it has one of its own.
    #[must_use]
    pub fn find(&self, key: &K) -> Option<CircuitBreaker> {
        self.0.find(key)
    }

    /// Stands before a service: a call asks the breaker of its request's key.
    ///
    /// `key` is a closure `Fn(&Req) -> Option<K>`, or any other [`Key`](buttress_core::Key). A request that has none is refused,
    /// unless [`missing_key`](KeyedLayer::missing_key) says otherwise.
    #[must_use]
    pub fn by<X>(&self, key: X) -> KeyedLayer<K, CircuitBreaker, X> {
        self.0.by(key)
    }

    /// Shows every key and its breaker. `look` runs under a lock that calls wait for: it must be short, and must not use these
    /// breakers' map.
    pub fn for_each(&self, look: impl FnMut(&K, &CircuitBreaker)) {
        self.0.for_each(look);
    }

    /// The figures of this moment, over all keys. Looks at every breaker: up to a 64th of them under one lock.
    #[must_use]
    pub fn snapshot(&self) -> KeyedSnapshot {
        let shared = &self.0.shared().0;
        let mut states = States::default();
        let mut refused = shared.component.refused_by_forgotten() + shared.refused();
        self.0.for_each(|_, CircuitBreaker(breaker)| {
            states.count(breaker.state());
            refused += breaker.refused();
        });
        let ended = shared.snapshot();
        KeyedSnapshot {
            name: ended.name,
            keys: self.0.keys(),
            max_keys: self.0.max_keys(),
            overflowed: self.0.overflowed(),
            keyless: self.0.keyless(),
            states,
            shared: ended.state,
            failure_count: ended.failure_count,
            success_count: ended.success_count,
            neutral_count: ended.neutral_count,
            refused_count: refused,
            last_failure_time: ended.last_failure_time,
        }
    }
}

impl<K> KeyedCircuitBreaker<K> {
    /// The breaker that keys share for which there is no room.
    #[must_use]
    pub fn shared(&self) -> &CircuitBreaker {
        self.0.shared()
    }

    /// The name of all of them.
    #[must_use]
    pub fn name(&self) -> Name {
        self.shared().name()
    }
}

impl PerKey for CircuitBreaker {
    fn is_idle(&self) -> bool {
        is_held_once(&self.0) && self.0.is_clean()
    }

    fn without_key(&self) -> Rejected {
        Rejected::new(Reason::Unavailable, self.name())
            .with_retry_after(self.0.component.config.retry_after)
    }
}

impl<K> Inspect for KeyedCircuitBreaker<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn name(&self) -> Name {
        self.name()
    }

    fn kind(&self) -> &'static str {
        "keyed_circuit_breakers"
    }

    /// Some calls do not get through once a breaker is open, and there are always other keys.
    fn condition(&self) -> Condition {
        let snapshot = self.snapshot();
        let all_closed = snapshot.states.keep_out() == 0;
        if all_closed && snapshot.shared.condition() == Condition::Up {
            Condition::Up
        } else {
            Condition::Degraded
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let snapshot = self.snapshot();
        let count = |count: usize| Value::Count(u64::try_from(count).unwrap_or(u64::MAX));
        vec![
            ("keys", count(snapshot.keys)),
            ("max_keys", count(snapshot.max_keys)),
            ("overflowed", Value::Count(snapshot.overflowed)),
            ("keyless", Value::Count(snapshot.keyless)),
            ("open", count(snapshot.states.open)),
            ("half_open", count(snapshot.states.half_open)),
            ("failure_count", Value::Count(snapshot.failure_count)),
            ("success_count", Value::Count(snapshot.success_count)),
            ("refused_count", Value::Count(snapshot.refused_count)),
            ("last_failure_time", Value::Time(snapshot.last_failure_time)),
        ]
    }
}

impl<K> Clone for KeyedCircuitBreaker<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> fmt::Debug for KeyedCircuitBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCircuitBreaker")
            .field("name", &self.name())
            .field("breakers", &self.0)
            .finish()
    }
}
