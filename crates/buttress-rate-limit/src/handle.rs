use std::fmt;
use std::future::Future;
use std::sync::Arc;

use buttress_core::{
    Condition, ConfigError, Error, Fact, Inspect, Listener, Name, Quota, QuotaSource, Rejected,
    Value,
};

use crate::acquire::Acquire;
use crate::config::{Config, RateLimitBuilder};
use crate::event::Event;
use crate::layer::RateLimitLayer;
use crate::permit::Permit;
use crate::rate::Rate;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::waiting_layer::WaitingRateLimitLayer;

/// Limits how often calls start, so that a dependency, or a service, gets no more of them than it can take.
///
/// The handle owns the state; clones share it, and so do the services of every layer made from it.
///
/// # Examples
/// ```
/// use buttress_rate_limit::{Rate, RateLimit};
///
/// let limit = RateLimit::builder("search").token_bucket(Rate::per_second(100).burst(200)).build();
/// let stack = tower::ServiceBuilder::new().layer(limit.layer());
/// # let _ = stack;
/// ```
/// Without tower, and for what costs more than one:
/// ```
/// use buttress_rate_limit::{Rate, RateLimit};
///
/// let tokens = RateLimit::builder("llm-tokens").token_bucket(Rate::per_minute(100_000)).build();
/// let permit = tokens.try_acquire_many(2_000)?;
/// // … the request; it has used less than was thought …
/// permit.correct(1_200);
/// assert!(tokens.quota().remaining >= 98_800);
/// # Ok::<(), buttress_core::Rejected>(())
/// ```
#[derive(Clone)]
pub struct RateLimit(pub(crate) Arc<Shared>);

impl RateLimit {
    /// Configures a limit of this name.
    pub fn builder(name: impl Into<Name>) -> RateLimitBuilder {
        RateLimitBuilder::new(name.into())
    }

    pub(crate) fn from_config(
        name: Name,
        config: Config,
        listener: Listener<Event>,
    ) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Shared::new(name, config, listener)?)))
    }

    /// Stands before a service and refuses what comes too often. Every layer made here shares this limit.
    ///
    /// At a leaky bucket it refuses whatever would have to wait; [`waiting_layer`](Self::waiting_layer) is what that is for.
    #[must_use]
    pub fn layer(&self) -> RateLimitLayer {
        RateLimitLayer::of(self.clone())
    }

    /// Stands before a service and lets what comes too often wait for its turn. Every layer made here shares this limit.
    #[must_use]
    pub fn waiting_layer(&self) -> WaitingRateLimitLayer {
        WaitingRateLimitLayer::of(self.clone())
    }

    /// Takes one unit, or refuses; never waits, and never goes before somebody who waits.
    ///
    /// # Errors
    /// [`Reason::Throttled`](buttress_core::Reason::Throttled), with the time after which a unit is there if nobody else comes;
    /// [`Reason::Unavailable`](buttress_core::Reason::Unavailable) when the limit was closed.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        self.try_acquire_many(1)
    }

    /// Takes so many units, or none and refuses.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire). More than the limit's capacity never fit: such a refusal says no time to come back.
    #[inline]
    pub fn try_acquire_many(&self, units: u32) -> Result<Permit, Rejected> {
        self.0.take(units, |receipt| {
            Permit::new(Some(Arc::clone(&self.0)), receipt)
        })
    }

    /// Waits for one unit, in the order of arrival. See [`Acquire`] for when it refuses.
    pub fn acquire(&self) -> Acquire {
        self.acquire_many(1)
    }

    /// Waits for so many units.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), buttress_core::Rejected> {
    /// use buttress_rate_limit::{Rate, RateLimit};
    ///
    /// let paced = RateLimit::builder("partner-api").leaky_bucket(Rate::per_second(50)).build();
    /// for _ in 0..3 {
    ///     let permit = paced.acquire().await?; // every 20 ms
    ///     drop(permit);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn acquire_many(&self, units: u32) -> Acquire {
        Acquire::new(Arc::clone(&self.0), units)
    }

    /// Takes a place for so many units at once, before anybody polls for it, and tells how long it will take:
    /// [`Acquire::expected_wait`]. Dropping it gives the place to those behind.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), buttress_core::Rejected> {
    /// use std::time::Duration;
    /// use buttress_rate_limit::{Rate, RateLimit};
    ///
    /// let paced = RateLimit::builder("partner-api").leaky_bucket(Rate::per_second(50)).build();
    /// let _first = paced.try_acquire()?;
    /// let place = paced.reserve(1)?;
    /// assert_eq!(place.expected_wait(), Some(Duration::from_millis(20)));
    /// place.await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Acquire`], when there is no place for it.
    pub fn reserve(&self, units: u32) -> Result<Acquire, Rejected> {
        Acquire::reserve(Arc::clone(&self.0), units)
    }

    /// Runs a future if a unit is there. Nothing happens before the first poll; a refusal drops the future unpolled.
    ///
    /// # Errors
    /// [`Error::Rejected`] as in [`try_acquire`](Self::try_acquire); [`Error::Inner`] with the future's own error otherwise.
    ///
    /// # Cancel safety
    /// Dropping the returned future drops `future`; what it took is taken.
    pub async fn run<F, T, E>(&self, future: F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        buttress_core::run(async { self.try_acquire() }, future).await
    }

    /// Runs a future when its turn has come.
    ///
    /// # Errors
    /// [`Error::Rejected`] as in [`Acquire`]; [`Error::Inner`] with the future's own error otherwise.
    ///
    /// # Cancel safety
    /// Dropping the returned future drops `future`, or gives its place to those behind.
    pub async fn run_in_turn<F, T, E>(&self, future: F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        buttress_core::run(self.acquire(), future).await
    }

    /// Changes the rate. What was spent stays spent: in units at a bucket, call by call in a window.
    ///
    /// At a bucket it comes back at the new rate: who has spent 1000 units of `100/s burst 1000` and lowers that to `1/min` waits for more
    /// than sixteen hours. Build a new limit to start anew.
    ///
    /// A window that is made longer also holds what had left the shorter one, as far as it reaches back. When such calls came is not
    /// known to the call any more; they count as if they had come as late as the shorter window allowed, and after 65 532 such windows
    /// without a change of the rate or a call that owes something, as if no more calls had been possible. So it may refuse too long,
    /// even those who keep the new rate, but no longer than the longer window lasts; and it never admits too many.
    ///
    /// A window allocates here for what it remembers, up to 12 bytes for each of its slots and no less than 384.
    ///
    /// # Errors
    /// When a limit of this kind cannot have this rate; the old one stays.
    pub fn set_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        self.0.set_rate(rate)
    }

    /// Admits nobody any more; calls that wait are refused.
    pub fn close(&self) {
        self.0.close();
    }

    /// How much is left at this moment.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.0.quota()
    }

    /// The figures of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// The limit's name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.0.name()
    }

    /// For the edge that tells clients; nothing where there is no quota.
    pub(crate) fn quota_source(&self) -> Option<Arc<dyn QuotaSource>> {
        let source = self.0.has_quota().then(|| Arc::clone(&self.0));
        source.map(|source| source as Arc<dyn QuotaSource>)
    }
}

impl Inspect for RateLimit {
    fn name(&self) -> Name {
        self.0.name()
    }

    fn kind(&self) -> &'static str {
        "rate_limiters"
    }

    /// Degraded while it refuses: while nothing is left, and at a leaky bucket nobody may wait for more.
    fn condition(&self) -> Condition {
        let snapshot = self.snapshot();
        if snapshot.closed {
            Condition::Down
        } else if snapshot.remaining == 0 && !self.0.lets_wait(&snapshot) {
            Condition::Degraded
        } else {
            Condition::Up
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let snapshot = self.snapshot();
        vec![
            ("algorithm", Value::Word(snapshot.algorithm.as_str())),
            ("limit", Value::Count(snapshot.limit)),
            ("remaining", Value::Count(snapshot.remaining)),
            ("admitted_calls", Value::Count(snapshot.admitted_count)),
            ("rejected_calls", Value::Count(snapshot.refused_count)),
            ("waiting_calls", Value::Count(snapshot.waiting.into())),
            (
                "max_waiting_calls",
                Value::Count(snapshot.max_waiting.into()),
            ),
        ]
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.0.name())
            .finish_non_exhaustive()
    }
}
