//! Where the answers of a level come from.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use buttress_core::{Gate, Plain};
use tower_service::Service;

use crate::gate::{DynGate, Erased, Slots};

/// Boxed, so that a chain's type does not grow with its levels: those below the primary are off the path of a call that goes well.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A level of a chain: a service, a function or a value, and what limits it.
///
/// ```
/// use std::time::Duration;
/// use buttress_fallback::Source;
///
/// let replica: Source<u32, String, std::io::Error> =
///     Source::function(async |id: u32| Ok(format!("order {id}")))
///         .limit(50)
///         .time(Duration::from_millis(300));
/// # let _ = replica;
/// ```
#[must_use = "a source does nothing until it is a level of a chain"]
pub struct Source<Req, T, E> {
    pub(crate) asks: Asks<Req, T, E>,
    pub(crate) time: Option<Duration>,
    pub(crate) slots: Option<Slots>,
    /// Whether nobody has said how many calls it may have.
    pub(crate) has_usual_limit: bool,
    pub(crate) gates: Vec<Box<dyn DynGate<Req>>>,
}

pub(crate) enum Asks<Req, T, E> {
    Call(Box<dyn Call<Req, T, E>>),
    Value(Box<dyn Fn() -> T + Send + Sync>),
}

/// The most calls that a level has at once, unless something else is said.
const MOST_CALLS: u32 = 100;

impl<Req, T, E> Source<Req, T, E>
where
    Req: Send + 'static,
{
    /// Asks a service. It is cloned for each call, and made ready within the time of the level.
    pub fn service<S>(service: S) -> Self
    where
        S: Service<Req, Response = T, Error = E> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        Self::calling(OfService(service))
    }

    /// Asks an asynchronous function.
    pub fn function<F, Fut>(function: F) -> Self
    where
        F: Fn(Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Self::calling(OfFunction(function))
    }

    fn calling(call: impl Call<Req, T, E> + 'static) -> Self {
        Self {
            slots: Some(Slots::new(MOST_CALLS)),
            has_usual_limit: true,
            ..Self::asking(Asks::Call(Box::new(call)))
        }
    }
}

impl<Req, T, E> Source<Req, T, E> {
    /// Gives a clone of this value. It is there at once, whatever the request was, and cannot fail.
    pub fn value(value: T) -> Self
    where
        T: Clone + Send + Sync + 'static,
    {
        Self::with(move || value.clone())
    }

    /// Gives what `make` makes, at once.
    pub fn with(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::asking(Asks::Value(Box::new(make)))
    }

    fn asking(asks: Asks<Req, T, E>) -> Self {
        Self {
            asks,
            time: None,
            slots: None,
            has_usual_limit: false,
            gates: Vec::new(),
        }
    }

    pub(crate) fn is_limited_value(&self) -> bool {
        let is_limited = self.slots.is_some() || self.time.is_some() || !self.gates.is_empty();
        matches!(self.asks, Asks::Value(_)) && is_limited
    }

    /// Lets it take this long, as far as there is time; otherwise the time that is left is divided by the number of levels that are
    /// left.
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Has at most this many calls at once: 100 by default for what is called below a primary. What comes beyond goes on to the next
    /// level.
    ///
    /// What a level can do in the time that callers wait for it (its calls a second, times the seconds) is the most that makes sense:
    /// with more it answers each of them too late.
    pub fn limit(mut self, calls: u32) -> Self {
        self.slots = Some(Slots::new(calls));
        self.has_usual_limit = false;
        self
    }

    /// Takes the limit away, for a service that has one of its own.
    pub fn unlimited(mut self) -> Self {
        self.slots = None;
        self
    }

    /// Lets a gate decide on each call, such as a breaker or a bulkhead; several are asked in the order in which they were given.
    /// What one refuses goes on to the next level. A gate does not see the request's deadline or priority, and hears the verdict when
    /// the answer is over, over HTTP at the last frame of its body; a layer around the level's service sees all of it.
    pub fn gate<G>(mut self, gate: G) -> Self
    where
        G: Gate<Req, Plain> + Send + Sync + 'static,
        G::Permit: Send + Sync + 'static,
        Req: 'static,
    {
        self.gates.push(Box::new(Erased(gate)));
        self
    }
}

impl<Req, T, E> fmt::Debug for Source<Req, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("time", &self.time)
            .field("slots", &self.slots)
            .field("gates", &self.gates.len())
            .finish_non_exhaustive()
    }
}

/// Anything that can be called, whatever its type.
pub(crate) trait Call<Req, T, E>: Send + Sync {
    fn call(&self, request: Req) -> BoxFuture<Result<T, E>>;
}

struct OfService<S>(S);

impl<S, Req> Call<Req, S::Response, S::Error> for OfService<S>
where
    S: Service<Req, Future: Send> + Clone + Send + Sync + 'static,
    Req: Send + 'static,
{
    fn call(&self, request: Req) -> BoxFuture<Result<S::Response, S::Error>> {
        let mut service = self.0.clone();
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        })
    }
}

struct OfFunction<F>(F);

impl<F, Fut, Req, T, E> Call<Req, T, E> for OfFunction<F>
where
    F: Fn(Req) -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    fn call(&self, request: Req) -> BoxFuture<Result<T, E>> {
        Box::pin((self.0)(request))
    }
}
