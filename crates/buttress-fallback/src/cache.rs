//! Levels that keep answers: whose they are, for how long, and for whom.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Keep, Key, Sharing};
use tokio::time::Instant;

use crate::source::BoxFuture;

mod distributed;
mod local;
mod locked;
mod store;

pub use self::distributed::{DistributedCache, DistributedCacheLevel, InMemory};
pub use self::local::LocalCache;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// An answer that was kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found<V> {
    pub(crate) value: V,
    pub(crate) age: Duration,
    /// Whether it is as good as one of the primary.
    pub(crate) fresh: bool,
}

/// What a cache says before the primary is asked.
#[derive(Debug, PartialEq)]
pub(crate) enum First<V> {
    /// Nobody need be asked.
    Serve(Found<V>),
    /// Ask. Whoever is told so while something is kept is the only one, until its shelf hears that it has come back, or is dropped.
    Ask,
}

/// What a cache has for a request.
pub(crate) enum Look<V> {
    Now(Option<Found<V>>),
    /// It must be waited for. `Err` where the cache cannot be asked.
    Later(BoxFuture<Result<Option<Found<V>>, BoxError>>),
}

/// A cache as a level of a chain.
pub(crate) trait CacheLevel<Req, V>: Send + Sync {
    /// Where the answer to this request is kept, if it may be.
    fn shelf(&self, request: &Req, sharing: Sharing) -> Option<Arc<dyn Shelf<V>>>;

    /// Whether it may answer before the primary is asked.
    fn may_be_first(&self) -> bool;

    /// Whether answers of replicas are kept too.
    fn keeps_replicas(&self) -> bool;

    /// How many answers are kept in this process, and their bytes.
    fn size(&self) -> (usize, usize) {
        (0, 0)
    }
}

/// Where the answer to one request is kept.
pub(crate) trait Shelf<V>: Send + Sync {
    fn first(&self, now: Instant) -> First<V>;

    /// Whoever was sent for another answer has heard of it: its head is there, or it failed.
    fn come_back(&self) {}

    /// Starts nothing yet, where it must be waited for.
    fn look(self: Arc<Self>, now: Instant) -> Look<V>;

    /// Keeps an answer that was asked for then, unless a newer one is there.
    fn keep(&self, value: V, keep: Keep, asked: Instant, now: Instant);

    /// Forgets the answer that is there, unless it is newer than what was asked for then; after a change also what comes later.
    fn forget(&self, asked: Instant, now: Instant, is_change: bool);
}

/// A key that keeps tenants apart.
///
/// Made by `tenant` of a cache. A request without a tenant, or without a key, has none.
#[derive(Clone, Copy, Debug)]
pub struct WithTenant<T, K> {
    tenant: T,
    key: K,
}

impl<Req: ?Sized, T: Key<Req>, K: Key<Req>> Key<Req> for WithTenant<T, K> {
    type Key = (T::Key, K::Key);

    fn key(&self, request: &Req) -> Option<Self::Key> {
        Some((self.tenant.key(request)?, self.key.key(request)?))
    }
}

/// Whether an answer to a request that may be shared so is kept by a cache that knows tenants, or does not.
const fn may_be_kept(sharing: Sharing, knows_tenants: bool) -> bool {
    match sharing {
        Sharing::Never => false,
        Sharing::WithinTenant => knows_tenants,
        Sharing::WithAll => true,
    }
}
