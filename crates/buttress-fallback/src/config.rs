use std::fmt;
use std::hash::Hash;
use std::mem;
use std::time::Duration;

use buttress_core::{
    Cached, ConfigError, Keeping, Key, Level, Listener, Name, Observer, Trail, Uncached, Verdict,
};

use crate::cache::{DistributedCache, DistributedCacheLevel, LocalCache};
use crate::event::Event;
use crate::handle::FallbackChain;
use crate::rung::Shelved;
use crate::source::Source;

/// Every setting, once.
pub(crate) struct Config<E> {
    pub(crate) total: Duration,
    pub(crate) primary_time: Option<Duration>,
    pub(crate) moves_on: Option<Box<dyn Fn(Verdict) -> bool + Send + Sync>>,
    pub(crate) exercise: f64,
    pub(crate) seed: Option<u64>,
    pub(crate) body_limit: usize,
    pub(crate) body_memory: usize,
    pub(crate) announce: bool,
    pub(crate) on_error: Option<Box<dyn Fn(Level, &E) + Send + Sync>>,
    pub(crate) listener: Listener<Event>,
}

/// Configures a [`FallbackChain`]. Every setting has a default, and every level may be left out.
///
/// Levels are asked in their fixed order, in whatever order they are given here; of the same kind in the order given.
#[must_use = "a builder does nothing until `build`"]
pub struct FallbackChainBuilder<Req, T, E, K: Keeping = Uncached> {
    name: Name,
    sources: Vec<(Level, Source<Req, T, E>)>,
    caches: Vec<Shelved<Req, K::Value>>,
    config: Config<E>,
}

impl<Req, T, E> FallbackChainBuilder<Req, T, E> {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            sources: Vec::new(),
            caches: Vec::new(),
            config: Config {
                total: Duration::from_secs(60),
                primary_time: None,
                moves_on: None,
                exercise: 0.0,
                seed: None,
                body_limit: 64 * 1024,
                body_memory: 16 * 1024 * 1024,
                announce: true,
                on_error: None,
                listener: Listener::none(),
            },
        }
    }

    /// Keeps answers that several processes share.
    pub fn distributed_cache<V, Q, C>(
        self,
        cache: DistributedCacheLevel<V, Q, C>,
    ) -> FallbackChainBuilder<Req, T, E, Cached<V>>
    where
        Q: Key<Req> + Send + Sync + 'static,
        C: DistributedCache<Q::Key, V>,
        V: Clone + Send + Sync + 'static,
    {
        self.keeping().distributed_cache(cache)
    }

    /// Keeps answers in this process.
    pub fn local_cache<V, Q>(
        self,
        cache: LocalCache<V, Q>,
    ) -> FallbackChainBuilder<Req, T, E, Cached<V>>
    where
        Q: Key<Req, Key: Hash> + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        Req: 'static,
    {
        self.keeping().local_cache(cache)
    }

    fn keeping<V: Clone + Send + Sync + 'static>(
        self,
    ) -> FallbackChainBuilder<Req, T, E, Cached<V>> {
        FallbackChainBuilder {
            name: self.name,
            sources: self.sources,
            caches: Vec::new(),
            config: self.config,
        }
    }
}

impl<Req, T, E, V: Clone + Send + Sync + 'static> FallbackChainBuilder<Req, T, E, Cached<V>> {
    /// Keeps answers that several processes share, too.
    pub fn distributed_cache<Q, C>(mut self, mut cache: DistributedCacheLevel<V, Q, C>) -> Self
    where
        Q: Key<Req> + Send + Sync + 'static,
        C: DistributedCache<Q::Key, V>,
    {
        self.caches.push(Shelved {
            level: Level::DistributedCache,
            time: cache.time,
            slots: cache.slots.clone(),
            gates: mem::take(&mut cache.gates),
            cache: cache.into_level(),
        });
        self
    }

    /// Keeps answers in this process, too.
    pub fn local_cache<Q>(mut self, cache: LocalCache<V, Q>) -> Self
    where
        Q: Key<Req> + Send + Sync + 'static,
        Req: 'static,
    {
        self.caches.push(Shelved {
            level: Level::LocalCache,
            time: None,
            slots: None,
            gates: Vec::new(),
            cache: cache.into_level(),
        });
        self
    }
}

impl<Req, T, E, K: Keeping> FallbackChainBuilder<Req, T, E, K> {
    fn source(mut self, level: Level, source: Source<Req, T, E>) -> Self {
        self.sources.push((level, source));
        self
    }

    /// What [`run`](FallbackChain::run) asks first. In a [layer](FallbackChain::layer) the service below it is the primary, and this one
    /// is not asked. It has no limit, unless the source was given one.
    pub fn primary(self, source: Source<Req, T, E>) -> Self {
        self.source(Level::Primary, source)
    }

    /// Another that can do the same; several are asked in the order given.
    pub fn replica(self, source: Source<Req, T, E>) -> Self {
        self.source(Level::Replica, source)
    }

    /// A service that can do something like it.
    pub fn backup(self, source: Source<Req, T, E>) -> Self {
        self.source(Level::Backup, source)
    }

    /// What is better than no answer.
    pub fn default(self, source: Source<Req, T, E>) -> Self {
        self.source(Level::Default, source)
    }

    /// The same with a value.
    pub fn default_value(self, value: T) -> Self
    where
        T: Clone + Send + Sync + 'static,
    {
        self.default(Source::value(value))
    }

    /// Gives a call without a deadline this long in all: 60 s by default.
    pub const fn total_time(mut self, total: Duration) -> Self {
        self.config.total = total;
        self
    }

    /// Gives the primary this long, as far as there is time; otherwise an equal share with every level below it.
    pub const fn primary_time(mut self, time: Duration) -> Self {
        self.config.primary_time = Some(time);
        self
    }

    /// Goes on to the next level after these verdicts: by default after `Failure` and `Overloaded`. A good answer is never asked
    /// about, and it is one when it says "no such order". Refusals of ours always go on, but for a deadline of the caller's that has
    /// passed and an idempotency key in use.
    pub fn moves_on(mut self, moves_on: impl Fn(Verdict) -> bool + Send + Sync + 'static) -> Self {
        self.config.moves_on = Some(Box::new(moves_on));
        self
    }

    /// Sends this share of calls to a level below the primary first, so that it is known to work: none by default. The levels that are
    /// called take turns by chance; when one fails the call goes on with the primary. A request whose body is longer than what is
    /// [kept](Self::body_limit) of it can then be sent nowhere else, so large uploads and `exercise` do not go together.
    pub const fn exercise(mut self, share: f64) -> Self {
        self.config.exercise = share;
        self
    }

    /// Draws the calls of [`exercise`](Self::exercise) from this seed.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Keeps this many bytes of a request's body for the next level: 64 KiB by default.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.config.body_limit = bytes;
        self
    }

    /// Keeps this many bytes of requests' bodies in all, and as many of answers that are on their way into a cache: 16 MiB by default.
    pub const fn body_memory(mut self, bytes: usize) -> Self {
        self.config.body_memory = bytes;
        self
    }

    /// Whether the services that are asked are told how long their answer is waited for: yes by default.
    pub const fn announce(mut self, announce: bool) -> Self {
        self.config.announce = announce;
        self
    }

    /// Shows every error of a level that is moved on from to `look`, on the task of the call, before the next level is asked.
    pub fn on_error(mut self, look: impl Fn(Level, &E) + Send + Sync + 'static) -> Self {
        self.config.on_error = Some(Box::new(look));
        self
    }

    /// Tells `observer` of levels that were asked in vain, and of the level that answered in the end.
    pub fn observer(mut self, observer: impl Observer<Event>) -> Self {
        self.config.listener = Listener::new(observer);
        self
    }

    /// Builds it.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> FallbackChain<Req, T, E, K> {
        let name = self.name;
        match self.try_build() {
            Ok(chain) => chain,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("fallback chain `{name}`: {error}"),
        }
    }

    /// Builds it, or says which setting makes no sense.
    ///
    /// # Errors
    /// A name that is none, a share that is none, no time at all, two primaries, a value with a limit, or more than eight levels, the primary included.
    pub fn try_build(self) -> Result<FallbackChain<Req, T, E, K>, ConfigError> {
        self.name.validate()?;
        if !(0.0..=1.0).contains(&self.config.exercise) {
            return Err(ConfigError::new("exercise", "must be from 0 to 1"));
        }
        if self.config.total.is_zero() {
            return Err(ConfigError::new("total_time", "must be above zero"));
        }
        if self.config.primary_time == Some(Duration::ZERO) {
            return Err(ConfigError::new("primary_time", "must be above zero"));
        }
        if self
            .sources
            .iter()
            .any(|(_, source)| source.is_limited_value())
        {
            let problem = "is there at once, so it has no limit, time or gate";
            return Err(ConfigError::new("value", problem));
        }
        let primaries = self.sources.iter();
        let primaries = primaries.filter(|(level, _)| *level == Level::Primary);
        let primaries = primaries.count();
        if primaries > 1 {
            return Err(ConfigError::new("primary", "can be given once"));
        }
        let levels = self.sources.len() - primaries + self.caches.len() + 1;
        if levels > Trail::MOST {
            let problem = format!("are {levels}, and may be {}", Trail::MOST);
            return Err(ConfigError::new("levels", problem));
        }
        let (sources, caches) = (self.sources, self.caches);
        Ok(FallbackChain::of(self.name, sources, caches, self.config))
    }
}

impl<Req, T, E, K: Keeping> fmt::Debug for FallbackChainBuilder<Req, T, E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.iter().map(|(level, _)| *level);
        let caches = self.caches.iter().map(|cache| cache.level);
        f.debug_struct("FallbackChainBuilder")
            .field("name", &self.name)
            .field("levels", &sources.chain(caches).collect::<Vec<_>>())
            .field("total", &self.config.total)
            .finish_non_exhaustive()
    }
}
