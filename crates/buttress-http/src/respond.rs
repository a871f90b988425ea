use buttress_core::{Adopt, Rejected, Widen};
use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

use crate::{Grpc, GrpcStatus, Http, Problem, RespondService};

/// Puts layers around an HTTP service and answers what they refuse.
///
/// Takes a layer or a tuple of layers, the first outermost; a foreign one goes in as [`as_is`]. Every layer that has no protocol
/// yet becomes an HTTP one, so that a 500 counts as a failure. The error type of the service stays what it is: with axum's
/// `Infallible` no error handler is needed. A service with a boxed error has room for refusals as it is: there [`RespondLayer`]
/// stands on top, without `respond`. Refusals become [`Problem`]s, or what [`render`](Respond::render) makes of them.
///
/// ```
/// use axum::{Router, routing::get};
/// use buttress_bulkhead::Bulkhead;
/// use buttress_circuit_breaker::CircuitBreaker;
/// use buttress_http::respond;
///
/// let bulkhead = Bulkhead::builder("front").max_concurrent(100).build();
/// let breaker = CircuitBreaker::builder("orders").build();
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(respond((bulkhead.refusing_layer(), breaker.layer())));
/// ```
pub fn respond<L: Adopt<Http>>(layers: L) -> Respond<L::Adopted> {
    Respond {
        layers: layers.adopt(Http::new()),
        render: Problem,
    }
}

/// Puts layers around a gRPC service and answers what they refuse with a gRPC status.
///
/// As [`respond`], with the protocol [`Grpc`] and with [`GrpcStatus`] for an answer: the client sees a proper status, never an
/// `INTERNAL` from the transport. Around a whole server it is a layer; around one service of `tonic` it keeps the name
/// of the service (feature `tonic`).
pub fn respond_grpc<L: Adopt<Grpc>>(layers: L) -> Respond<L::Adopted, GrpcStatus> {
    Respond {
        layers: layers.adopt(Grpc::new()),
        render: GrpcStatus,
    }
}

/// A layer that puts layers around a service and answers what they refuse; made by [`respond`] and [`respond_grpc`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct Respond<L, R = Problem> {
    layers: L,
    render: R,
}

impl<L, R> Respond<L, R> {
    /// Answers refusals in a format of one's own.
    ///
    /// The refusal is put into the answer's extensions, and the body is left out for `HEAD`, whatever `render` does.
    /// [`status`](crate::status), [`whole_seconds`](crate::whole_seconds) and [`Problem`] are there to build upon.
    ///
    /// ```
    /// use buttress_bulkhead::RefusingBulkheadLayer;
    /// use buttress_http::{respond, status};
    /// use http::Response;
    ///
    /// let layer = respond(RefusingBulkheadLayer::new(100)).render(|rejected| {
    ///     let mut response = Response::new("come back later");
    ///     *response.status_mut() = status(rejected.reason());
    ///     response
    /// });
    /// # let _ = layer;
    /// ```
    pub fn render<F, T>(self, render: F) -> Respond<L, F>
    where
        F: Fn(&Rejected) -> Response<T>,
        T: Into<Bytes>,
    {
        Respond {
            layers: self.layers,
            render,
        }
    }
}

impl<S, L, R> Layer<S> for Respond<L, R>
where
    L: Layer<Widen<S>>,
    R: Clone,
{
    type Service = RespondService<L::Service, R, S>;

    fn layer(&self, inner: S) -> Self::Service {
        RespondService::new(self.layers.layer(Widen::new(inner)), self.render.clone())
    }
}

/// Its layers have their protocol.
impl<L, R, Q> Adopt<Q> for Respond<L, R> {
    type Adopted = Self;

    fn adopt(self, _: Q) -> Self {
        self
    }
}

/// The upper half of [`respond`], for a flat stack: answers what the layers below refuse.
///
/// The lower half is [`WidenLayer`](buttress_core::WidenLayer), innermost; over a service whose error is boxed it is not
/// needed. In between, each layer of ours says for itself that it stands on HTTP. Without that a 500 counts as a success.
///
/// ```
/// use buttress_bulkhead::RefusingBulkheadLayer;
/// use buttress_circuit_breaker::CircuitBreakerLayer;
/// use buttress_core::WidenLayer;
/// use buttress_http::{HttpExt, RespondLayer};
/// use tower::ServiceBuilder;
///
/// let stack = ServiceBuilder::new()
///     .layer(RespondLayer::new())
///     .layer(RefusingBulkheadLayer::new(100).http())
///     .layer(CircuitBreakerLayer::consecutive(5).http())
///     .layer(WidenLayer);
/// # let _ = stack;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct RespondLayer<R = Problem> {
    render: R,
}

impl RespondLayer {
    /// Answers with [`Problem`]s.
    pub const fn new() -> Self {
        Self { render: Problem }
    }

    /// Answers with gRPC statuses.
    pub const fn grpc() -> RespondLayer<GrpcStatus> {
        RespondLayer { render: GrpcStatus }
    }
}

impl<R> RespondLayer<R> {
    /// Answers refusals in a format of one's own, as [`Respond::render`] does.
    pub fn render<F, T>(self, render: F) -> RespondLayer<F>
    where
        F: Fn(&Rejected) -> Response<T>,
        T: Into<Bytes>,
    {
        RespondLayer { render }
    }
}

impl<S, R: Clone> Layer<S> for RespondLayer<R> {
    type Service = RespondService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RespondService::new(inner, self.render.clone())
    }
}

/// It has no protocol to choose.
impl<R, Q> Adopt<Q> for RespondLayer<R> {
    type Adopted = Self;

    fn adopt(self, _: Q) -> Self {
        self
    }
}

/// Lets a layer that is not one of ours stand among those that are, unchanged.
///
/// It has to hand on the error of the service below it; most layers of `tower-http` do.
///
/// ```
/// use buttress_bulkhead::RefusingBulkheadLayer;
/// use buttress_http::{as_is, respond};
/// use tower::util::MapRequestLayer;
///
/// let foreign = MapRequestLayer::new(|request: http::Request<()>| request);
/// let layer = respond((RefusingBulkheadLayer::new(100), as_is(foreign)));
/// # let _ = layer;
/// ```
pub const fn as_is<L>(layer: L) -> AsIs<L> {
    AsIs(layer)
}

/// A layer that takes on no protocol; made by [`as_is`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct AsIs<L>(L);

impl<S, L: Layer<S>> Layer<S> for AsIs<L> {
    type Service = L::Service;

    fn layer(&self, inner: S) -> L::Service {
        self.0.layer(inner)
    }
}

impl<L, Q> Adopt<Q> for AsIs<L> {
    type Adopted = Self;

    fn adopt(self, _: Q) -> Self {
        self
    }
}
