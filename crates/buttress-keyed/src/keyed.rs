use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Statistic, Ordering};

use crate::by_key::ByKey;
use crate::keyed_layer::KeyedLayer;
use crate::map::KeyedMap;
use crate::per_key::PerKey;
use crate::waiting_keyed_layer::WaitingKeyedLayer;

/// Keeps one handle for each key: a circuit breaker for each host, a bulkhead for each tenant.
///
/// A handle is made when its key is first seen, and may be forgotten when nobody has it and it is as good as new. Keys for which
/// there is no room share one handle. Clones share all of it, and so do the services of every layer made from it.
///
/// Asking for a handle takes the lock of a [`KeyedMap`]'s shard, and nothing else happens under it: the handle is cloned and used
/// outside. A handle that somebody has is never forgotten, so what is done with it is never lost.
pub struct Keyed<K, H>(Arc<Inner<K, H>>);

struct Inner<K, H> {
    handles: KeyedMap<K, H>,
    shared: H,
    make: Box<dyn Fn() -> H + Send + Sync>,
    keyless: Statistic,
}

impl<K, H> Keyed<K, H>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    H: PerKey,
{
    /// Keeps the handles that `make` makes in `handles`. The one that keys share for which there is no room is made now.
    ///
    /// `make` runs without a lock, and may run in vain; all handles that it makes belong to one component.
    pub fn new(handles: KeyedMap<K, H>, make: impl Fn() -> H + Send + Sync + 'static) -> Self {
        let shared = make();
        Self(Arc::new(Inner {
            handles: handles.sharing(shared.clone()),
            shared,
            make: Box::new(make),
            keyless: Statistic::new(0),
        }))
    }

    /// The handle of this key: its own, or the one that is shared while there is no room.
    #[inline]
    #[must_use]
    pub fn get(&self, key: &K) -> H {
        let Inner { handles, make, .. } = &*self.0;
        handles.with(key, make, H::is_idle, |handle| handle.clone())
    }

    /// The handle of this key, if it has one.
    #[must_use]
    pub fn find(&self, key: &K) -> Option<H> {
        self.0.handles.get(key, |handle| handle.clone())
    }

    /// Stands before a service and asks the handle of each request's key, which must decide at once.
    ///
    /// `key` is a closure `Fn(&Req) -> Option<K>`, or any other [`Key`](buttress_core::Key). A request without one is refused; see
    /// [`missing_key`](KeyedLayer::missing_key).
    #[must_use]
    pub fn by<X>(&self, key: X) -> KeyedLayer<K, H, X> {
        KeyedLayer::of(ByKey::new(self.clone(), key))
    }

    /// Stands before a service and asks the handle of each request's key, which may let it wait. The service must be `Clone`.
    ///
    /// In everything else like [`by`](Self::by).
    #[must_use]
    pub fn waiting_by<X>(&self, key: X) -> WaitingKeyedLayer<K, H, X> {
        WaitingKeyedLayer::of(ByKey::new(self.clone(), key))
    }

    /// Shows every key and its handle, one shard after the other.
    ///
    /// `look` runs under the lock of a shard, for which calls wait: it must be short, and must not use this map. Keys that come and
    /// go meanwhile may be shown or not; all others are, once.
    pub fn for_each(&self, mut look: impl FnMut(&K, &H)) {
        self.0.handles.for_each(|key, handle| look(key, handle));
    }

    /// Forgets all handles that may be forgotten, and tells how many. Nobody has to call this: room is made when it is needed.
    pub fn evict_idle(&self) -> usize {
        self.0.handles.evict_idle(H::is_idle)
    }
}

impl<K, H> Keyed<K, H> {
    /// The handle that keys share for which there is no room.
    #[must_use]
    pub fn shared(&self) -> &H {
        &self.0.shared
    }

    /// How many keys have a handle of their own.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.0.handles.len()
    }

    /// How many can have one.
    #[must_use]
    pub fn max_keys(&self) -> usize {
        self.0.handles.max_keys()
    }

    /// How often the shared handle was asked for, for want of room.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.0.handles.overflowed()
    }

    /// How many requests were refused because they had no key.
    #[must_use]
    pub fn keyless(&self) -> u64 {
        self.0.keyless.load(Ordering::Relaxed)
    }

    #[cold]
    pub(crate) fn note_keyless(&self) {
        self.0.keyless.fetch_add(1, Ordering::Relaxed);
    }
}

impl<K, H> Clone for Keyed<K, H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, H> fmt::Debug for Keyed<K, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("handles", &self.0.handles)
            .field("keyless", &self.keyless())
            .finish_non_exhaustive()
    }
}
