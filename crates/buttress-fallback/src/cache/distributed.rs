use std::error::Error;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Gate, Keep, Key, Plain, Sharing};
use tokio::time::Instant;

use super::locked::Locked;
use super::store::Bounds;
use super::{CacheLevel, First, Found, Look, Shelf, WithTenant, may_be_kept};
use crate::gate::{DynGate, Erased, Slots};

type Weigh<V> = Arc<dyn Fn(&V) -> usize + Send + Sync>;

/// Answers that several processes keep together.
///
/// Implemented by [`InMemory`], which shares them within one process; a client of a server implements it for others.
pub trait DistributedCache<K, V>: Send + Sync + 'static {
    /// A look for an answer: what is kept, and its age; or that the cache cannot be asked.
    type Get: Future<Output = Result<Option<(V, Duration)>, Box<dyn Error + Send + Sync>>>
        + Send
        + 'static;

    /// Looks for the answer to this key.
    fn get(&self, key: &K) -> Self::Get;

    /// Takes in an answer, which is so old already, and is of no use once it is older than [`Keep::longest`]. A newer one stays. It must
    /// not wait: a client of a server hands it to a queue that is bounded, and leaves it out where that is full.
    fn put(&self, key: &K, value: V, keep: Keep);

    /// Forgets what is kept for this key, unless it is younger than this, and what is [put](Self::put) later and was made before: an answer
    /// that was on its way meanwhile. It must not wait, either.
    fn forget(&self, key: &K, age: Duration);
}

/// A [`DistributedCache`] as a level of a chain.
///
/// It fills itself as a [`LocalCache`](crate::LocalCache) does, and answers only after the primary was asked in vain, unless it is
/// [exercised](crate::FallbackChainBuilder::exercise).
#[must_use = "a cache does nothing until it is a level of a chain"]
pub struct DistributedCacheLevel<V, K, C> {
    cache: Arc<C>,
    key: K,
    stale: Duration,
    knows_tenants: bool,
    keeps_replicas: bool,
    pub(crate) time: Option<Duration>,
    pub(crate) slots: Option<Slots>,
    pub(crate) gates: Vec<Box<dyn DynGate<()>>>,
    weigh: Option<Weigh<V>>,
    kept: PhantomData<fn() -> V>,
}

impl<V, K, C> DistributedCacheLevel<V, K, C> {
    /// Keeps answers in `cache` by this key. It must mean the same to all processes that share the cache.
    pub fn keyed(cache: C, key: K) -> Self {
        Self {
            cache: Arc::new(cache),
            key,
            stale: Duration::from_secs(300),
            knows_tenants: false,
            keeps_replicas: false,
            time: None,
            slots: Some(Slots::new(100)),
            gates: Vec::new(),
            weigh: None,
            kept: PhantomData,
        }
    }

    /// Keeps the answers of each tenant apart, as [`LocalCache::tenant`](crate::LocalCache::tenant) does.
    pub fn tenant<T>(self, tenant: T) -> DistributedCacheLevel<V, WithTenant<T, K>, C> {
        DistributedCacheLevel {
            cache: self.cache,
            key: WithTenant {
                tenant,
                key: self.key,
            },
            stale: self.stale,
            knows_tenants: true,
            keeps_replicas: self.keeps_replicas,
            time: self.time,
            slots: self.slots,
            gates: self.gates,
            weigh: self.weigh,
            kept: PhantomData,
        }
    }

    /// Gives no older answer than this: 5 min by default.
    pub const fn stale_for(mut self, age: Duration) -> Self {
        self.stale = age;
        self
    }

    /// Keeps answers of replicas too, as [`LocalCache::keep_replicas`](crate::LocalCache::keep_replicas) does.
    pub const fn keep_replicas(mut self) -> Self {
        self.keeps_replicas = true;
        self
    }

    /// Lets a look take this long; otherwise as [`Source::time`](crate::Source::time) says.
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Looks at most this often at once: 100 by default.
    pub fn limit(mut self, looks: u32) -> Self {
        self.slots = Some(Slots::new(looks));
        self
    }

    /// Lets a gate decide on each look, such as a breaker: it hears whether the cache could be asked.
    pub fn gate<G>(mut self, gate: G) -> Self
    where
        G: Gate<(), Plain> + Send + Sync + 'static,
        G::Permit: Send + Sync + 'static,
    {
        self.gates.push(Box::new(Erased(gate)));
        self
    }

    /// Counts the bytes of an answer, as [`LocalCache::weigh`](crate::LocalCache::weigh) does.
    pub fn weigh(mut self, weigh: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        self.weigh = Some(Arc::new(weigh));
        self
    }

    pub(crate) fn into_level<Req>(self) -> Box<dyn CacheLevel<Req, V>>
    where
        K: Key<Req> + Send + Sync + 'static,
        C: DistributedCache<K::Key, V>,
        V: Clone + Send + Sync + 'static,
    {
        Box::new(self)
    }
}

impl<V, K, C> fmt::Debug for DistributedCacheLevel<V, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistributedCacheLevel")
            .field("stale", &self.stale)
            .field("knows_tenants", &self.knows_tenants)
            .finish_non_exhaustive()
    }
}

struct Place<V, K, C> {
    cache: Arc<C>,
    key: K,
    stale: Duration,
    weigh: Option<Weigh<V>>,
}

impl<Req, V, K, C> CacheLevel<Req, V> for DistributedCacheLevel<V, K, C>
where
    K: Key<Req> + Send + Sync,
    C: DistributedCache<K::Key, V>,
    V: Clone + Send + Sync + 'static,
{
    fn shelf(&self, request: &Req, sharing: Sharing) -> Option<Arc<dyn Shelf<V>>> {
        if !may_be_kept(sharing, self.knows_tenants) {
            return None;
        }
        Some(Arc::new(Place {
            cache: Arc::clone(&self.cache),
            key: self.key.key(request)?,
            stale: self.stale,
            weigh: self.weigh.clone(),
        }))
    }

    fn may_be_first(&self) -> bool {
        false
    }

    fn keeps_replicas(&self) -> bool {
        self.keeps_replicas
    }
}

impl<V, K, C> Shelf<V> for Place<V, K, C>
where
    K: Send + Sync + 'static,
    C: DistributedCache<K, V>,
    V: Send + Sync + 'static,
{
    fn first(&self, _: Instant) -> First<V> {
        First::Ask
    }

    fn look(self: Arc<Self>, _: Instant) -> Look<V> {
        // The cache is asked at the first poll: in the level's time, and with its slot.
        Look::Later(Box::pin(async move {
            let found = self.cache.get(&self.key).await?;
            let found = found.filter(|(_, age)| *age < self.stale || age.is_zero());
            Ok(found.map(|(value, age)| Found {
                value,
                age,
                fresh: false,
            }))
        }))
    }

    fn keep(&self, value: V, keep: Keep, asked: Instant, now: Instant) {
        let since = now.saturating_duration_since(asked);
        let weigh = self.weigh.as_ref();
        let keep = Keep {
            bytes: weigh.map_or(keep.bytes, |weigh| weigh(&value)),
            age: keep.age.saturating_add(since),
            longest: keep.longest.min(self.stale),
            ..keep
        };
        self.cache.put(&self.key, value, keep);
    }

    fn forget(&self, asked: Instant, now: Instant, _: bool) {
        let since = now.saturating_duration_since(asked);
        self.cache.forget(&self.key, since);
    }
}

/// A [`DistributedCache`] that is shared within one process: for tests, and for several chains that keep the same answers.
pub struct InMemory<K, V>(Arc<Locked<K, V>>);

impl<K: Clone + Eq + Hash, V: Clone> InMemory<K, V> {
    /// Keeps this many answers, and bytes of them, for this long at most.
    #[must_use]
    pub fn new(entries: usize, bytes: usize, longest: Duration) -> Self {
        Self(Arc::new(Locked::new(Bounds {
            entries,
            bytes,
            fresh: Duration::ZERO,
            stale: longest,
        })))
    }

    /// How many answers are kept, and their bytes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.0.size()
    }
}

impl<K, V> DistributedCache<K, V> for InMemory<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    type Get = Ready<Result<Option<(V, Duration)>, Box<dyn Error + Send + Sync>>>;

    fn get(&self, key: &K) -> Self::Get {
        let found = self.0.get(key, Instant::now());
        ready(Ok(found.map(|found| (found.value, found.age))))
    }

    fn put(&self, key: &K, value: V, keep: Keep) {
        let now = Instant::now();
        self.0.put(key.clone(), value, keep, now, now);
    }

    fn forget(&self, key: &K, age: Duration) {
        self.0.forget(key, Instant::now(), age, true);
    }
}

impl<K, V> Clone for InMemory<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> fmt::Debug for InMemory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}
