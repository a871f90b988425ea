use std::fmt;
use std::future::Future;
use std::sync::Arc;

use buttress_core::{Condition, Error, Fact, Inspect, Name, Rejected, Value};

use crate::builder::CircuitBreakerBuilder;
use crate::component::Component;
use crate::layer::CircuitBreakerLayer;
use crate::permit::Permit;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::state::Mode;

/// Stops calling what keeps failing, and finds out when it is back.
///
/// The handle owns the state; clones share it, and so do the services of every layer made from it.
///
/// # Examples
/// ```
/// use buttress_circuit_breaker::{CircuitBreaker, State, Window};
///
/// let breaker = CircuitBreaker::builder("inventory").failure_rate(0.5, Window::calls(100)).build();
/// let stack = tower::ServiceBuilder::new().layer(breaker.layer());
/// assert_eq!(breaker.snapshot().state, State::Closed);
/// # let _ = stack;
/// ```
/// Without tower:
/// ```
/// use buttress_circuit_breaker::CircuitBreaker;
/// use buttress_core::{Settle, Verdict};
///
/// let breaker = CircuitBreaker::builder("inventory").build();
/// let permit = breaker.try_acquire()?;
/// permit.settle(Verdict::Success); // dropped instead: nobody knows how it went
/// # Ok::<(), buttress_core::Rejected>(())
/// ```
#[derive(Clone)]
pub struct CircuitBreaker(pub(crate) Arc<Shared>);

impl CircuitBreaker {
    /// Configures a breaker of this name.
    pub fn builder(name: impl Into<Name>) -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new(name.into())
    }

    /// A closed breaker of this component.
    pub(crate) fn of(component: Arc<Component>) -> Self {
        Self(Arc::new(Shared::of(component)))
    }

    /// Stands before a service. Every layer made here shares this breaker.
    #[must_use]
    pub fn layer(&self) -> CircuitBreakerLayer {
        CircuitBreakerLayer::of(self.clone())
    }

    /// Lets a call in, or refuses it; never waits.
    ///
    /// # Errors
    /// [`Reason::Unavailable`](buttress_core::Reason::Unavailable) while the breaker is open, with the time until it lets
    /// probes through; while it is half-open and has no room for a probe; while a ramp runs, for the share of calls it keeps
    /// out.
    ///
    /// # Cancel safety
    /// A permit that is dropped is given back: a probe's place is free again, and the call counts as nothing, unless it had
    /// run past the limit for slow calls or the breaker was told to count dropped calls as failures.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        let (entry, started) = self.0.admit()?;
        Ok(Permit::new(Arc::clone(&self.0), entry, started))
    }

    /// Runs a future behind the breaker. Nothing happens before the first poll; a refusal drops the future unpolled.
    ///
    /// # Errors
    /// [`Error::Rejected`] when the breaker refuses, [`Error::Inner`] with the future's own error otherwise.
    ///
    /// # Cancel safety
    /// As [`try_acquire`](Self::try_acquire).
    pub async fn run<F, T, E>(&self, future: F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + 'static,
    {
        buttress_core::run(async { self.try_acquire() }, future).await
    }

    /// Refuses every call until told otherwise.
    pub fn force_open(&self) {
        self.0.force(Mode::ForcedOpen);
    }

    /// Lets every call through and judges none until told otherwise.
    pub fn force_closed(&self) {
        self.0.force(Mode::ForcedClosed);
    }

    /// Lets every call through and counts it, without consequence, until told otherwise: to see what a rule would say.
    pub fn metrics_only(&self) {
        self.0.force(Mode::MetricsOnly);
    }

    /// Closes, forgets all windows and sets the counts to zero. Calls under way no longer move anything.
    pub fn reset(&self) {
        self.0.forget_counts();
        self.0.force(Mode::Closed);
    }

    /// The figures of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// The breaker's name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.0.name()
    }
}

impl Inspect for CircuitBreaker {
    fn name(&self) -> Name {
        self.0.name()
    }

    fn kind(&self) -> &'static str {
        "circuit_breakers"
    }

    fn condition(&self) -> Condition {
        self.0.state().condition()
    }

    fn facts(&self) -> Vec<Fact> {
        let snapshot = self.snapshot();
        vec![
            ("state", Value::Word(snapshot.state.as_str())),
            ("failure_count", Value::Count(snapshot.failure_count)),
            ("success_count", Value::Count(snapshot.success_count)),
            (
                "consecutive_failures",
                Value::Count(snapshot.consecutive_failures.into()),
            ),
            ("refused_count", Value::Count(snapshot.refused_count)),
            ("failure_rate", Value::Number(snapshot.failure_rate)),
            ("slow_call_rate", Value::Number(snapshot.slow_call_rate)),
            ("last_failure_time", Value::Time(snapshot.last_failure_time)),
            (
                "last_state_change",
                Value::Time(Some(snapshot.last_state_change)),
            ),
        ]
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
