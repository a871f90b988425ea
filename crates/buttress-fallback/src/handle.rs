use std::fmt;
use std::sync::Arc;

use buttress_core::{Condition, Fact, Inspect, Keeping, Level, Name, Uncached, Value};

use crate::config::{Config, FallbackChainBuilder};
use crate::layer::FallbackLayer;
use crate::rung::Shelved;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::source::Source;

/// Asks one level after the other until one answers.
///
/// The handle owns the levels and the figures; clones share them, and so do the services of every layer made from it. `Req`, `T` and `E`
/// are what the levels below the primary take, answer and fail with; `K` is what its caches keep.
///
/// # Examples
/// ```
/// use buttress_fallback::{FallbackChain, Source};
///
/// # async fn load(id: u32) -> Result<String, std::io::Error> { Err(std::io::Error::other("down")) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let orders = FallbackChain::builder("orders")
///     .primary(Source::function(load))
///     .replica(Source::function(async |id: u32| Ok(format!("order {id} of the replica"))))
///     .default_value(String::from("no order to be seen now"))
///     .build();
/// let served = orders.run(7).await.unwrap();
/// assert_eq!(served.answer, "order 7 of the replica");
/// assert!(served.by.degraded);
/// # }
/// ```
pub struct FallbackChain<Req, T, E, K: Keeping = Uncached>(pub(crate) Arc<Shared<Req, T, E, K>>);

impl<Req, T, E> FallbackChain<Req, T, E> {
    /// Configures a chain of this name.
    pub fn builder(name: impl Into<Name>) -> FallbackChainBuilder<Req, T, E> {
        FallbackChainBuilder::new(name.into())
    }
}

impl<Req, T, E, K: Keeping> FallbackChain<Req, T, E, K> {
    pub(crate) fn of(
        name: Name,
        sources: Vec<(Level, Source<Req, T, E>)>,
        caches: Vec<Shelved<Req, K::Value>>,
        config: Config<E>,
    ) -> Self {
        Self(Arc::new(Shared::new(name, sources, caches, config)))
    }

    /// Stands before a service, which is the primary then, and asks the other levels when it fails. The service must be `Clone`.
    #[must_use]
    pub fn layer(&self) -> FallbackLayer<Req, T, E, K> {
        FallbackLayer::of(self.clone())
    }

    /// The figures of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.0.name
    }
}

impl<Req, T, E, K: Keeping> Inspect for FallbackChain<Req, T, E, K> {
    fn name(&self) -> Name {
        self.0.name
    }

    fn kind(&self) -> &'static str {
        "fallback_chains"
    }

    /// `Degraded` when the primary was asked in vain, or a component of ours refused it the call, in the last 5 to 10 s, or since the look before that, and `Down` when no level
    /// answered; as long as nothing happens it stays what it was. Looks do not change what other looks see.
    fn condition(&self) -> Condition {
        self.0.condition()
    }

    /// What each kind of level served, and when it last did; kinds that a chain has not are left out.
    fn facts(&self) -> Vec<Fact> {
        let snapshot = self.snapshot();
        let mut facts = vec![
            ("exhausted", Value::Count(snapshot.exhausted)),
            ("expired", Value::Count(snapshot.expired)),
            ("passed_over", Value::Count(snapshot.passed_over())),
            ("exercised", Value::Count(snapshot.exercised)),
            ("degraded", Value::Count(snapshot.degraded())),
        ];
        for level in Level::ALL {
            let of_kind = || snapshot.levels.iter().filter(|of| of.level == level);
            if of_kind().next().is_none() {
                continue;
            }
            let [served, failed, last] = fact_names(level);
            let last_success = of_kind().filter_map(|level| level.last_success_at()).max();
            facts.push((served, Value::Count(of_kind().map(|of| of.served).sum())));
            facts.push((failed, Value::Count(of_kind().map(|of| of.failed).sum())));
            facts.push((last, Value::Time(last_success)));
        }
        facts
    }
}

const fn fact_names(level: Level) -> [&'static str; 3] {
    match level {
        Level::Primary => ["primary_served", "primary_failed", "primary_last_success"],
        Level::Replica => ["replica_served", "replica_failed", "replica_last_success"],
        Level::DistributedCache => [
            "distributed_cache_served",
            "distributed_cache_failed",
            "distributed_cache_last_success",
        ],
        Level::LocalCache => [
            "local_cache_served",
            "local_cache_failed",
            "local_cache_last_success",
        ],
        Level::Backup => ["backup_served", "backup_failed", "backup_last_success"],
        Level::Default => ["default_served", "default_failed", "default_last_success"],
    }
}

impl<Req, T, E, K: Keeping> Clone for FallbackChain<Req, T, E, K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Req, T, E, K: Keeping> fmt::Debug for FallbackChain<Req, T, E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels = self.0.rungs.iter().map(|rung| rung.level);
        f.debug_struct("FallbackChain")
            .field("name", &self.0.name)
            .field("levels", &levels.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
