use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Condition, Deadline, Error, Fact, Inspect, Listener, Mark, Name, Plain, Rejected, Value,
    WidenFuture,
};
use tokio::time::Instant;

use crate::call::{Call, Fixed, Timed};
use crate::config::{AdaptiveTimeoutBuilder, Config};
use crate::event::Event;
use crate::future::TimeoutFuture;
use crate::layer::AdaptiveTimeoutLayer;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::state::Outcome;

/// Limits how long calls may take, by what calls take.
///
/// The handle owns the state; clones share it, and so do the services of every layer made from it.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use buttress_timeout::AdaptiveTimeout;
///
/// // 1.5 times what 95 of 100 calls take, once that is known; 5 s until then, and never more.
/// let timeout = AdaptiveTimeout::builder("inventory").total(Duration::from_secs(5)).build();
/// let stack = tower::ServiceBuilder::new().layer(timeout.layer());
/// assert_eq!(timeout.snapshot().current_timeout, Duration::from_secs(5));
/// # let _ = stack;
/// ```
/// Without tower:
/// ```
/// use std::time::Duration;
/// use buttress_timeout::AdaptiveTimeout;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let timeout = AdaptiveTimeout::fixed(Duration::from_secs(1));
/// let answer = timeout.run(async { Ok::<_, std::io::Error>(42) }).await;
/// assert_eq!(answer.unwrap(), 42);
/// # }
/// ```
#[derive(Clone)]
pub struct AdaptiveTimeout(pub(crate) Arc<Shared>);

impl AdaptiveTimeout {
    /// Configures a timeout of this name, which learns unless it is told not to.
    pub fn builder(name: impl Into<Name>) -> AdaptiveTimeoutBuilder {
        AdaptiveTimeoutBuilder::new(name.into())
    }

    /// Limits whole calls to this, and learns nothing; for more, see [`fixed`](AdaptiveTimeoutBuilder::fixed) of the builder.
    /// Over HTTP a stream may go on after its head, and pause for 30 s.
    ///
    /// # Panics
    /// When `limit` is zero.
    #[must_use]
    #[track_caller]
    pub fn fixed(limit: Duration) -> Self {
        let builder = Self::builder("timeout").fixed();
        builder.total(limit).head(limit).build()
    }

    pub(crate) fn from_config(name: Name, config: &Config, listener: Listener<Event>) -> Self {
        Self(Shared::new(name, config, listener))
    }

    /// Stands before a service. Every layer made here shares what is learned.
    #[must_use]
    pub fn layer(&self) -> AdaptiveTimeoutLayer {
        AdaptiveTimeoutLayer::of(self.clone())
    }

    /// Runs a future within the timeout. Nothing happens before the first poll.
    ///
    /// # Errors
    /// [`Error::Rejected`] when it takes too long ([`Reason::TimedOut`](buttress_core::Reason::TimedOut)), [`Error::Inner`] with the
    /// future's own error otherwise.
    ///
    /// # Cancel safety
    /// Dropping the returned future drops `future`; what it took until then counts as "at least so long", if that was half of the
    /// timeout or more. Work that `future` has moved to other threads is not stopped, neither then nor at the timeout.
    pub async fn run<F, T, E>(&self, future: F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        self.run_within(None, future).await
    }

    /// The same, no longer than until the caller's deadline.
    ///
    /// # Errors
    /// As [`run`](Self::run); the reason is [`DeadlineExceeded`](buttress_core::Reason::DeadlineExceeded) where the deadline came
    /// first. A future that comes after it is not polled.
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_before<F, T, E>(&self, deadline: Deadline, future: F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        self.run_within(Some(deadline), future).await
    }

    async fn run_within<F, T, E>(
        &self,
        deadline: Option<Deadline>,
        future: F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        let call = match self.fixed_limit() {
            Some(fixed) if deadline.is_none() => Call::fixed(fixed),
            _ => {
                let now = self.enter(deadline).map_err(Error::Rejected)?;
                Call::timed(self.begin(now, deadline, false))
            }
        };
        TimeoutFuture::new(WidenFuture::new(future), call, Plain::new()).await
    }

    /// Takes in that a call which was not made through this timeout took so long.
    pub fn record(&self, took: Duration) {
        self.0.record(Outcome::Completed, took);
    }

    /// Takes in that such a call was given up after so long, without an answer. Less than half of the timeout says nothing about it,
    /// and is not counted.
    pub fn record_unfinished(&self, took: Duration) {
        self.0.record(Outcome::Censored, took);
    }

    /// How long a call may take at this moment.
    #[must_use]
    pub fn current_timeout(&self) -> Duration {
        self.0.timeout()
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

    /// What a call takes along that begins under a fixed limit and nothing else, without a head or a deadline. So it reads no clock,
    /// and counts no reference.
    #[inline(always)]
    pub(crate) fn fixed_limit(&self) -> Option<&Fixed> {
        self.0.fixed.as_ref()
    }

    /// The moment at which any other call begins, unless it comes after its deadline.
    #[inline]
    pub(crate) fn enter(&self, deadline: Option<Deadline>) -> Result<Instant, Rejected> {
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline.has_passed(now)) {
            return Err(self.0.refuse());
        }
        Ok(now)
    }

    /// Lets such a call begin; `has_head` says whether its answer has a head before its end.
    #[inline]
    pub(crate) fn begin(&self, now: Instant, deadline: Option<Deadline>, has_head: bool) -> Timed {
        Timed::begin(Arc::clone(&self.0), now, deadline, has_head)
    }

    /// What the request of such a call is to be told: the earlier of the caller's deadline and the end of the whole call.
    pub(crate) fn mark(&self, now: Instant, deadline: Option<Deadline>) -> Option<Mark> {
        let total = self.0.limits.total;
        let own = total.map(|total| Deadline::after(now, total).as_total());
        let deadlines = own.into_iter().chain(deadline);
        Some(Mark::Deadline {
            deadline: deadlines.reduce(Deadline::earlier)?,
            now,
            announce: self.0.announces,
        })
    }
}

impl Inspect for AdaptiveTimeout {
    fn name(&self) -> Name {
        self.0.name
    }

    fn kind(&self) -> &'static str {
        "adaptive_timeouts"
    }

    fn condition(&self) -> Condition {
        Condition::Up
    }

    fn facts(&self) -> Vec<Fact> {
        let snapshot = self.snapshot();
        let quantile =
            |quantile: Option<Duration>| quantile.map_or(Value::Unknown, Value::Duration);
        vec![
            ("p50", quantile(snapshot.p50)),
            ("p95", quantile(snapshot.p95)),
            ("p99", quantile(snapshot.p99)),
            ("p999", quantile(snapshot.p999)),
            ("samples", Value::Count(snapshot.samples)),
            (
                "current_timeout_ms",
                Value::Number(snapshot.current_timeout.as_secs_f64() * 1000.0),
            ),
            ("adaptive_enabled", Value::Flag(snapshot.adaptive_enabled)),
            ("timed_out", Value::Count(snapshot.timed_out)),
            (
                "deadline_exceeded",
                Value::Count(snapshot.deadline_exceeded),
            ),
        ]
    }
}

impl fmt::Debug for AdaptiveTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveTimeout")
            .field("name", &self.0.name)
            .field("current_timeout", &self.0.timeout())
            .finish_non_exhaustive()
    }
}
