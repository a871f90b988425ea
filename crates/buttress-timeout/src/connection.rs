use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use buttress_core::{Adopt, Deadline, Name, Reason, Rejectable, Rejected};
use buttress_timer::Alarm;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// How long a connection may take to be made, unless something else was said.
const USUAL: Duration = Duration::from_secs(3);

/// Gives up a connection that takes too long to be made: 3 s by default.
///
/// Stands around the connector of a hyper client, whose calls it makes, not around the client. What is given up so was never sent, and
/// may be sent again whatever it is.
///
/// ```
/// use buttress_core::WidenLayer;
/// use buttress_timeout::ConnectionTimeoutLayer;
/// use tower::ServiceBuilder;
///
/// # #[derive(Clone)] struct HttpConnector;
/// # impl HttpConnector { fn new() -> Self { Self } }
/// let connector = ServiceBuilder::new()
///     .layer(ConnectionTimeoutLayer::new())
///     .layer(WidenLayer)
///     .service(HttpConnector::new());
/// # let _ = connector;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ConnectionTimeoutLayer {
    limit: Duration,
}

impl ConnectionTimeoutLayer {
    /// Gives up after 3 s.
    #[must_use]
    pub const fn new() -> Self {
        Self::of(USUAL)
    }

    /// Gives up after `limit`.
    #[must_use]
    pub const fn of(limit: Duration) -> Self {
        Self { limit }
    }
}

impl Default for ConnectionTimeoutLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ConnectionTimeoutLayer {
    type Service = ConnectionTimeout<S>;

    fn layer(&self, inner: S) -> ConnectionTimeout<S> {
        ConnectionTimeout {
            inner,
            limit: self.limit,
        }
    }
}

/// It has no protocol to choose.
impl<Q> Adopt<Q> for ConnectionTimeoutLayer {
    type Adopted = Self;

    fn adopt(self, _: Q) -> Self {
        self
    }
}

/// A connector whose time is limited; made by [`ConnectionTimeoutLayer`].
#[derive(Clone, Copy, Debug)]
pub struct ConnectionTimeout<S> {
    inner: S,
    limit: Duration,
}

impl<S, Dst> Service<Dst> for ConnectionTimeout<S>
where
    S: Service<Dst>,
    S::Future: Unpin,
    S::Error: Rejectable,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ConnectionTimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, destination: Dst) -> Self::Future {
        ConnectionTimeoutFuture {
            inner: Some(self.inner.call(destination)),
            limit: self.limit,
            alarm: None,
        }
    }
}

/// The future of a [`ConnectionTimeout`]. It may be moved, as hyper's client wants it.
///
/// # Errors
/// [`Reason::TimedOut`] in the name of `connection`, when it takes too long.
///
/// # Panics
/// When it has to wait outside of a tokio runtime with its time driver enabled.
///
/// # Cancel safety
/// Dropping it gives the connection up.
#[must_use = "futures do nothing unless polled"]
pub struct ConnectionTimeoutFuture<F> {
    inner: Option<F>,
    limit: Duration,
    /// Once somebody waits.
    alarm: Option<Alarm>,
}

impl<F, T, E> Future for ConnectionTimeoutFuture<F>
where
    F: Future<Output = Result<T, E>> + Unpin,
    E: Rejectable,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Pending;
        };
        if let Poll::Ready(result) = Pin::new(inner).poll(cx) {
            return Poll::Ready(result);
        }
        let limit = this.limit;
        let alarm = this
            .alarm
            .get_or_insert_with(|| Alarm::new(Deadline::after(Instant::now(), limit).instant()));
        ready!(alarm.arm(cx.waker()));
        this.inner = None;
        let rejected = Rejected::new(Reason::TimedOut, Name::new("connection"));
        Poll::Ready(Err(E::reject(rejected)))
    }
}

impl<F> fmt::Debug for ConnectionTimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTimeoutFuture")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
