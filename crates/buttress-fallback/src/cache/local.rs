use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Keep, Key, Sharing};
use buttress_sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

use super::locked::Locked;
use super::store::Bounds;
use super::{CacheLevel, First, Look, Shelf, WithTenant, may_be_kept};

/// Keeps good answers in this process, for the time in which there are none.
///
/// It fills itself with answers of the primary. It never keeps a failure, nor an answer that says of itself that it is degraded. The key must
/// be named: what it leaves out of a request makes no difference to the answer, so a user's own answers need the user in the key, or a
/// [`tenant`](Self::tenant).
///
/// ```
/// use std::time::Duration;
/// use buttress_fallback::{FallbackChain, LocalCache, Source};
///
/// struct Find { shop: u32, order: u64 }
///
/// let cache = LocalCache::<String, _>::keyed(|find: &Find| Some(find.order))
///     .tenant(|find: &Find| Some(find.shop))
///     .stale_for(Duration::from_secs(600));
/// let chain: FallbackChain<Find, String, std::io::Error, _> =
///     FallbackChain::builder("orders").local_cache(cache).build();
/// # let _ = chain;
/// ```
#[must_use = "a cache does nothing until it is a level of a chain"]
pub struct LocalCache<V, K> {
    key: K,
    pub(crate) bounds: Bounds,
    weigh: Option<Box<dyn Fn(&V) -> usize + Send + Sync>>,
    knows_tenants: bool,
    keeps_replicas: bool,
    kept: PhantomData<fn() -> V>,
}

impl<V, K> LocalCache<V, K> {
    /// Keeps answers by this key. A request that has none is not kept an answer for.
    pub fn keyed(key: K) -> Self {
        Self {
            key,
            bounds: Bounds {
                entries: 10_000,
                bytes: 64 * 1024 * 1024,
                fresh: Duration::ZERO,
                stale: Duration::from_secs(300),
            },
            weigh: None,
            knows_tenants: false,
            keeps_replicas: false,
            kept: PhantomData,
        }
    }

    /// Keeps the answers of each tenant apart: they can never meet, whatever the key says. A request without a tenant is not kept an
    /// answer for.
    pub fn tenant<T>(self, tenant: T) -> LocalCache<V, WithTenant<T, K>> {
        LocalCache {
            key: WithTenant {
                tenant,
                key: self.key,
            },
            bounds: self.bounds,
            weigh: self.weigh,
            knows_tenants: true,
            keeps_replicas: self.keeps_replicas,
            kept: PhantomData,
        }
    }

    /// Keeps this many answers: 10 000 by default. The oldest makes room for the next.
    pub const fn entries(mut self, entries: usize) -> Self {
        self.bounds.entries = entries;
        self
    }

    /// Keeps this many bytes of answers and their keys: 64 MiB by default, as the protocol or [`weigh`](Self::weigh) counts them. Of a
    /// key those count that it is hashed by.
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// Counts the bytes of an answer; of a plain one its size without what it points to, unless something else is said.
    pub fn weigh(mut self, weigh: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        self.weigh = Some(Box::new(weigh));
        self
    }

    /// Takes so young an answer for as good as one of the primary, which is not asked then; none by default, so the primary is always
    /// asked first. Its age counts from when it was asked for, and an answer may say that it is fresh for less. Once it is older one caller
    /// asks for another, and those who come until the primary has answered that one get it, as long as it is not stale.
    pub const fn fresh_for(mut self, age: Duration) -> Self {
        self.bounds.fresh = age;
        self
    }

    /// Gives no older answer than this: 5 min by default.
    pub const fn stale_for(mut self, age: Duration) -> Self {
        self.bounds.stale = age;
        self
    }

    /// Keeps answers of replicas too. They may be behind the primary; what is kept of them is as if it came from there.
    pub const fn keep_replicas(mut self) -> Self {
        self.keeps_replicas = true;
        self
    }

    pub(crate) fn into_level<Req>(self) -> Box<dyn CacheLevel<Req, V>>
    where
        K: Key<Req> + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        Req: 'static,
    {
        Box::new(Local {
            store: Arc::new(Kept {
                answers: Locked::new(self.bounds),
                weigh: self.weigh,
            }),
            key: self.key,
            may_be_first: !self.bounds.fresh.is_zero(),
            knows_tenants: self.knows_tenants,
            keeps_replicas: self.keeps_replicas,
            requests: PhantomData,
        })
    }
}

impl<V, K> fmt::Debug for LocalCache<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCache")
            .field("bounds", &self.bounds)
            .field("knows_tenants", &self.knows_tenants)
            .finish_non_exhaustive()
    }
}

struct Kept<K, V> {
    answers: Locked<K, V>,
    weigh: Option<Box<dyn Fn(&V) -> usize + Send + Sync>>,
}

struct Local<Req, K: Key<Req>, V> {
    store: Arc<Kept<K::Key, V>>,
    key: K,
    may_be_first: bool,
    knows_tenants: bool,
    keeps_replicas: bool,
    requests: PhantomData<fn(Req)>,
}

struct Place<K: Eq + Hash, V: Clone> {
    store: Arc<Kept<K, V>>,
    key: K,
    /// The number under which this caller was sent for another answer, or 0.
    sent: AtomicU64,
}

impl<Req, K, V> CacheLevel<Req, V> for Local<Req, K, V>
where
    K: Key<Req> + Send + Sync,
    V: Clone + Send + Sync + 'static,
{
    fn shelf(&self, request: &Req, sharing: Sharing) -> Option<Arc<dyn Shelf<V>>> {
        if !may_be_kept(sharing, self.knows_tenants) {
            return None;
        }
        Some(Arc::new(Place {
            store: Arc::clone(&self.store),
            key: self.key.key(request)?,
            sent: AtomicU64::new(0),
        }))
    }

    fn may_be_first(&self) -> bool {
        self.may_be_first
    }

    fn keeps_replicas(&self) -> bool {
        self.keeps_replicas
    }

    fn size(&self) -> (usize, usize) {
        self.store.answers.size()
    }
}

impl<K, V> Shelf<V> for Place<K, V>
where
    K: Clone + Eq + Hash + Send + Sync,
    V: Clone + Send + Sync,
{
    fn first(&self, now: Instant) -> First<V> {
        let (first, sent) = self.store.answers.first(&self.key, now);
        self.sent.store(sent.unwrap_or_default(), Ordering::Relaxed);
        first
    }

    fn come_back(&self) {
        self.give_back();
    }

    fn look(self: Arc<Self>, now: Instant) -> Look<V> {
        Look::Now(self.store.answers.get(&self.key, now))
    }

    fn keep(&self, value: V, keep: Keep, asked: Instant, now: Instant) {
        let weigh = self.store.weigh.as_ref();
        let bytes = weigh.map_or(keep.bytes, |weigh| weigh(&value));
        let keep = Keep { bytes, ..keep };
        let answers = &self.store.answers;
        answers.put(self.key.clone(), value, keep, asked, now);
    }

    fn forget(&self, asked: Instant, _: Instant, is_change: bool) {
        let answers = &self.store.answers;
        answers.forget(&self.key, asked, Duration::ZERO, is_change);
    }
}

impl<K: Eq + Hash, V: Clone> Place<K, V> {
    fn give_back(&self) {
        let number = self.sent.swap(0, Ordering::Relaxed);
        if number != 0 {
            self.store.answers.come_back(&self.key, number);
        }
    }
}

/// Whoever was sent comes back, however the call ends.
impl<K: Eq + Hash, V: Clone> Drop for Place<K, V> {
    fn drop(&mut self) {
        self.give_back();
    }
}
