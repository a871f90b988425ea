use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Condition, ConfigError, Error, Fact, Inspect, Name, Priority, Rejected, Value,
};

use crate::acquire::Acquire;
use crate::component::Component;
use crate::config::{BulkheadBuilder, validate_max_concurrent, validate_queue};
use crate::layer::BulkheadLayer;
use crate::permit::Permit;
use crate::refusing_layer::RefusingBulkheadLayer;
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// Bounds how many calls are inside a dependency at once, so that one that hangs cannot use up what others need.
///
/// The handle owns the state; clones share it, and so do the services of every layer made from it. Give each dependency a
/// bulkhead of its own.
///
/// # Examples
/// ```
/// use buttress_bulkhead::Bulkhead;
///
/// let bulkhead = Bulkhead::builder("reports").max_concurrent(1).build();
/// let stack = tower::ServiceBuilder::new().layer(bulkhead.refusing_layer());
///
/// let inside = bulkhead.try_acquire()?;
/// assert!(bulkhead.try_acquire().is_err());
/// drop(inside);
/// assert!(bulkhead.try_acquire().is_ok());
/// # let _ = stack;
/// # Ok::<(), buttress_core::Rejected>(())
/// ```
/// Blocking work holds its slot for as long as it really runs when the permit goes with it:
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use buttress_bulkhead::Bulkhead;
/// use buttress_core::{Settle, Verdict};
///
/// let bulkhead = Bulkhead::builder("thumbnails").max_concurrent(4).build();
/// let permit = bulkhead.try_acquire()?;
/// tokio::task::spawn_blocking(move || {
///     // … work that nobody can stop …
///     permit.settle(Verdict::Success);
/// })
/// .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bulkhead(pub(crate) Arc<Shared>);

impl Bulkhead {
    /// Configures a bulkhead of this name.
    pub fn builder(name: impl Into<Name>) -> BulkheadBuilder {
        BulkheadBuilder::new(name.into())
    }

    /// An empty bulkhead of this component.
    pub(crate) fn of(component: Arc<Component>) -> Self {
        Self(Arc::new(Shared::of(component)))
    }

    /// Stands before a service and lets calls wait for a slot, the more important first. Every layer made here shares this
    /// bulkhead.
    #[must_use]
    pub fn layer(&self) -> BulkheadLayer {
        BulkheadLayer::of(self.clone())
    }

    /// Stands before a service and refuses at once when it is full. Every layer made here shares this bulkhead.
    #[must_use]
    pub fn refusing_layer(&self) -> RefusingBulkheadLayer {
        RefusingBulkheadLayer::of(self.clone())
    }

    /// Takes a slot, or refuses; never waits. An ordinary call: no slot that is kept for critical ones.
    ///
    /// # Errors
    /// [`Reason::Overloaded`](buttress_core::Reason::Overloaded) when no slot is free, [`Reason::Unavailable`](buttress_core::Reason::Unavailable) when the bulkhead was closed.
    ///
    /// # Cancel safety
    /// The permit frees its slot when it is settled or dropped, whichever comes first.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        match self.try_acquire_as(|| Priority::Normal) {
            Some(permit) => Ok(permit),
            None => Err(*self.0.refuse()),
        }
    }

    #[inline(always)]
    pub(crate) fn try_acquire_as(&self, priority: impl FnOnce() -> Priority) -> Option<Permit> {
        let claim = self.0.try_take(priority)?;
        Some(Permit::new(Arc::clone(&self.0), claim))
    }

    /// Waits for a slot, for a call that matters this much. See [`Acquire`] for when it refuses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), buttress_core::Rejected> {
    /// use buttress_bulkhead::Bulkhead;
    /// use buttress_core::Priority;
    ///
    /// let bulkhead = Bulkhead::builder("orders-db").max_concurrent(16).build();
    /// let permit = bulkhead.acquire(Priority::High).await?;
    /// // … the call …
    /// drop(permit);
    /// # Ok(()) }
    /// ```
    pub fn acquire(&self, priority: Priority) -> Acquire {
        Acquire::new(Arc::clone(&self.0), priority)
    }

    /// Runs a future in a slot, for which it may have to wait as a [`Priority::Normal`] call does. Nothing happens before the
    /// first poll; a refusal drops the future unpolled.
    ///
    /// # Errors
    /// [`Error::Rejected`] when it gets no slot, see [`Acquire`]; [`Error::Inner`] with the future's own error otherwise.
    ///
    /// # Cancel safety
    /// Dropping the returned future drops `future` and frees the slot, or leaves the queue.
    pub async fn run<F, T, E>(&self, future: F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        self.run_as(Priority::Normal, future).await
    }

    /// The same, for a call that matters this much.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_as<F, T, E>(&self, priority: Priority, future: F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        buttress_core::run(self.acquire(priority), future).await
    }

    /// Changes how many calls may be inside. Calls that are inside stay; while they are more than the new limit, nobody
    /// gets in.
    ///
    /// # Errors
    /// When the limit is zero, above 1 000 000 or not above the reserved slots; the old one stays.
    pub fn resize(&self, max_concurrent: u32) -> Result<(), ConfigError> {
        validate_max_concurrent(max_concurrent, self.0.state.slots.reserved())?;
        self.0.resize(max_concurrent);
        Ok(())
    }

    /// Changes how many calls may wait. Those that have no place any more are refused, the newest of the lowest class first.
    ///
    /// # Errors
    /// When it is above 100 000; the old one stays.
    pub fn resize_queue(&self, calls: u32) -> Result<(), ConfigError> {
        validate_queue(calls)?;
        self.0.resize_queue(calls);
        Ok(())
    }

    /// Changes how long a call may wait, for those that come from now on.
    pub fn set_max_wait(&self, duration: Duration) {
        self.0.set_max_wait(duration);
    }

    /// Lets nobody in any more; calls that wait are refused. Calls that are inside stay; [`drained`](Self::drained) waits for them.
    pub fn close(&self) {
        self.0.close();
    }

    /// Waits until no call is inside. Others may get in meanwhile, and right after, unless the bulkhead was closed.
    ///
    /// # Cancel safety
    /// May be dropped and called again at any time; any number of tasks may wait.
    pub async fn drained(&self) {
        self.0.drained().await;
    }

    /// The figures of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// The bulkhead's name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.0.name()
    }
}

impl Inspect for Bulkhead {
    fn name(&self) -> Name {
        self.0.name()
    }

    fn kind(&self) -> &'static str {
        "bulkheads"
    }

    fn condition(&self) -> Condition {
        let snapshot = self.snapshot();
        if snapshot.closed {
            Condition::Down
        } else if snapshot.active_calls >= snapshot.max_concurrent {
            Condition::Degraded
        } else {
            Condition::Up
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let snapshot = self.snapshot();
        vec![
            ("active_calls", Value::Count(snapshot.active_calls.into())),
            (
                "max_concurrent",
                Value::Count(snapshot.max_concurrent.into()),
            ),
            ("queued_calls", Value::Count(snapshot.queued_calls.into())),
            ("max_queued", Value::Count(snapshot.max_queued.into())),
            ("rejected_calls", Value::Count(snapshot.rejected_calls)),
            (
                "utilization_percent",
                Value::Number(snapshot.utilization_percent),
            ),
        ]
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.0.name())
            .field("slots", &self.0.state.slots.occupancy())
            .finish_non_exhaustive()
    }
}
