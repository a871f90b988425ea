use std::fmt;
use std::hash::Hash;

use buttress_core::{Condition, Fact, Inspect, Name, Reason, Rejected, Value};
use buttress_keyed::{Keyed, KeyedLayer, PerKey, WaitingKeyedLayer, is_held_once};

use crate::handle::Bulkhead;
use crate::keyed_snapshot::KeyedSnapshot;

/// Keeps one bulkhead for each key: each tenant, each host.
///
/// The settings, the name, the observer and the counts are of all of them; slots and queue are each key's own. A bulkhead that
/// nobody is inside of, nobody waits for, and nobody has changed may be forgotten to make room. Keys for which there is no room
/// share one bulkhead. Clones share all of it, and so do the services of every layer made from it.
///
/// # Examples
/// ```
/// use buttress_bulkhead::{Bulkhead, KeyedBulkhead};
///
/// struct Query { tenant: u64 }
///
/// let bulkheads: KeyedBulkhead<u64> = Bulkhead::builder("tenants").max_concurrent(4).queue(10).keyed().build();
/// let stack = tower::ServiceBuilder::new().layer(bulkheads.refusing_by(|query: &Query| Some(query.tenant)));
///
/// let inside = bulkheads.get(&7).try_acquire()?;
/// assert_eq!(bulkheads.get(&7).snapshot().active_calls, 1);
/// assert_eq!(bulkheads.get(&8).snapshot().active_calls, 0);
/// # drop((inside, stack));
/// # Ok::<(), buttress_core::Rejected>(())
/// ```
pub struct KeyedBulkhead<K>(Keyed<K, Bulkhead>);

impl<K> KeyedBulkhead<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    pub(crate) const fn of(bulkheads: Keyed<K, Bulkhead>) -> Self {
        Self(bulkheads)
    }

    /// The bulkhead of this key: its own, or the one that keys share while there is no room.
    ///
    /// In its snapshot, slots, queue and classes are this key's; the counts of calls that ended or were refused, and the
    /// histogram of waits, are of all keys.
    #[inline]
    #[must_use]
    pub fn get(&self, key: &K) -> Bulkhead {
        self.0.get(key)
    }

    /// The bulkhead of this key, if it has one of its own.
    #[must_use]
    pub fn find(&self, key: &K) -> Option<Bulkhead> {
        self.0.find(key)
    }

    /// Stands before a service: a call waits for a slot in the bulkhead of its request's key. The service must be `Clone`.
    ///
    /// `key` is a closure `Fn(&Req) -> Option<K>`, or any other [`Key`](buttress_core::Key). A request that has none is refused,
    /// unless [`missing_key`](WaitingKeyedLayer::missing_key) says otherwise.
    #[must_use]
    pub fn by<X>(&self, key: X) -> WaitingKeyedLayer<K, Bulkhead, X> {
        self.0.waiting_by(key)
    }

    /// Stands before a service: a call is refused at once when the bulkhead of its request's key is full. Otherwise as
    /// [`by`](Self::by).
    #[must_use]
    pub fn refusing_by<X>(&self, key: X) -> KeyedLayer<K, Bulkhead, X> {
        self.0.by(key)
    }

    /// Shows every key and its bulkhead. `look` runs under a lock that calls wait for: it must be short, and must not use these
    /// bulkheads' map.
    pub fn for_each(&self, look: impl FnMut(&K, &Bulkhead)) {
        self.0.for_each(look);
    }

    /// The figures of this moment, over all keys. Looks at every bulkhead: up to a 64th of them under one lock.
    #[must_use]
    pub fn snapshot(&self) -> KeyedSnapshot {
        let shared = self.shared();
        let mut snapshot = KeyedSnapshot::new(shared.snapshot(), shared.0.component.forgotten());
        snapshot.keys = self.0.keys();
        snapshot.max_keys = self.0.max_keys();
        snapshot.overflowed = self.0.overflowed();
        snapshot.keyless = self.0.keyless();
        self.0.for_each(|_, Bulkhead(bulkhead)| {
            snapshot.add(bulkhead.state.slots.occupancy(), &bulkhead.classes());
        });
        snapshot
    }
}

impl<K> KeyedBulkhead<K> {
    /// The bulkhead that keys share for which there is no room.
    #[must_use]
    pub fn shared(&self) -> &Bulkhead {
        self.0.shared()
    }

    /// The name of all of them.
    #[must_use]
    pub fn name(&self) -> Name {
        self.shared().name()
    }
}

impl PerKey for Bulkhead {
    fn is_idle(&self) -> bool {
        is_held_once(&self.0) && self.0.is_as_configured()
    }

    fn without_key(&self) -> Rejected {
        Rejected::new(Reason::Overloaded, self.name())
            .with_retry_after(self.0.component.config.retry_after)
    }
}

impl<K> Inspect for KeyedBulkhead<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn name(&self) -> Name {
        self.name()
    }

    fn kind(&self) -> &'static str {
        "keyed_bulkheads"
    }

    /// Some calls do not get through at once while a bulkhead is full, and there are always other keys.
    fn condition(&self) -> Condition {
        if self.snapshot().full == 0 {
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
            ("full", count(snapshot.full)),
            ("active_calls", Value::Count(snapshot.active_calls)),
            ("queued_calls", Value::Count(snapshot.queued_calls)),
            ("rejected_calls", Value::Count(snapshot.rejected_calls)),
        ]
    }
}

impl<K> Clone for KeyedBulkhead<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> fmt::Debug for KeyedBulkhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBulkhead")
            .field("name", &self.name())
            .field("bulkheads", &self.0)
            .finish()
    }
}
