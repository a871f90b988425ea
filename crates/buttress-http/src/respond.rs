use std::sync::Arc;

use buttress_core::{Adopt, QuotaSource, QuotaSources, Rejected, Widen};
use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

use crate::arrival::Arrival;
use crate::quotas::Quotas;
use crate::{Grpc, GrpcStatus, Http, HttpExt, Problem, QuotaFields, RespondService};

/// Puts layers around an HTTP service and answers what they refuse.
///
/// Takes a layer or a tuple of layers, the first outermost; a foreign one goes in as [`as_is`]. Every layer that has no protocol
/// yet becomes an HTTP one, so that a 500 counts as a failure. The error type of the service stays what it is: with axum's
/// `Infallible` no error handler is needed. A service with a boxed error has room for refusals as it is: there
/// [`RespondLayer`](crate::RespondLayer) stands on top, without `respond`. Refusals become [`Problem`]s, or what
/// [`render`](Respond::render) makes of them.
///
/// No header sets a deadline, unless [`trust_request_timeout`](Respond::trust_request_timeout) says so. Clients of a rate limit are
/// told what is left of their quota, in [`QuotaFields::Draft11`], unless [`quota_fields`](Respond::quota_fields) says otherwise.
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
    let mut sources = QuotaSources::new();
    Adopt::<Http>::quota_sources(&layers, &mut sources);
    Respond {
        layers: layers.adopt(Http::new().serving()),
        render: Problem,
        arrival: Arrival::NOTHING,
        quotas: Quotas::new(QuotaFields::Draft11, sources),
    }
}

/// Puts layers around a gRPC service and answers what they refuse with a gRPC status.
///
/// As [`respond`], with the protocol [`Grpc`] and with [`GrpcStatus`] for an answer: the client sees a proper status, never an
/// `INTERNAL` from the transport. Around a whole server it is a layer; around one service of `tonic` it keeps the name
/// of the service (feature `tonic`).
///
/// The deadline of a call comes in here: [`grpc_timeout`](crate::grpc_timeout) is read and put into the request's extensions as a
/// [`Deadline`](buttress_core::Deadline), unless an earlier one is there, and a call whose caller has gone before it arrived is
/// answered `DEADLINE_EXCEEDED` before any work. Around a channel the same is done with what `set_timeout` of a `tonic::Request`
/// says. There a layer that is to tell the server what remains says `.grpc()` for itself, since inside of here requests have
/// arrived.
pub fn respond_grpc<L: Adopt<Grpc>>(layers: L) -> Respond<L::Adopted, GrpcStatus> {
    let mut sources = QuotaSources::new();
    Adopt::<Grpc>::quota_sources(&layers, &mut sources);
    Respond {
        layers: layers.adopt(Grpc::new().serving()),
        render: GrpcStatus,
        arrival: Arrival::GRPC,
        quotas: Quotas::new(QuotaFields::None, sources),
    }
}

/// A layer that puts layers around a service and answers what they refuse; made by [`respond`] and [`respond_grpc`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct Respond<L, R = Problem> {
    layers: L,
    render: R,
    arrival: Arrival,
    quotas: Quotas,
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
            arrival: self.arrival,
            quotas: self.quotas,
        }
    }

    /// Believes what a request says of the time that its sender will wait: [`request_timeout`](crate::request_timeout).
    ///
    /// It is put into the request's extensions as a [`Deadline`](buttress_core::Deadline), unless an earlier one is there, and a
    /// request with a time of zero is refused before any work. For a service behind peers that one trusts. It can only ever
    /// shorten a call, but a call cut short says nothing about the service, so anybody else could keep a failing one from being
    /// noticed. Off unless it is called.
    pub const fn trust_request_timeout(mut self) -> Self {
        self.arrival = self.arrival.trusting_http();
        self
    }

    /// Tells clients of their quotas in these fields, for all of the layers in here: on answers, and on refusals of a rate limit.
    ///
    /// By default [`Draft11`](QuotaFields::Draft11) from [`respond`], and none from [`respond_grpc`], which stands around channels
    /// too; gRPC clients have the push-back. A single layer says it for its answers before, with
    /// [`quota_fields`](HttpExt::quota_fields) of its own.
    ///
    /// ```
    /// use buttress_bulkhead::RefusingBulkheadLayer;
    /// use buttress_http::{QuotaFields, respond};
    ///
    /// let silent = respond(RefusingBulkheadLayer::new(100)).quota_fields(QuotaFields::None);
    /// # let _ = silent;
    /// ```
    pub fn quota_fields(self, fields: QuotaFields) -> Respond<L::Adopted, R>
    where
        L: Adopt<QuotaFields>,
    {
        Respond {
            layers: self.layers.quota_fields(fields),
            render: self.render,
            arrival: self.arrival,
            quotas: self.quotas.told_in(fields),
        }
    }

    /// Names a source of quotas beside those of the layers in here: a limit in a foreign layer, or inside of the service.
    ///
    /// Of its component's refusals the policy is told. A refusal knows its component by name: where limits of one name have
    /// different policies, none is told, so give each limit a name of its own.
    pub fn quota_source(mut self, source: Arc<dyn QuotaSource>) -> Self {
        self.quotas.add([source]);
        self
    }
}

impl<S, L, R> Layer<S> for Respond<L, R>
where
    L: Layer<Widen<S>>,
    R: Clone,
{
    type Service = RespondService<L::Service, R, S>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = self.layers.layer(Widen::new(inner));
        RespondService::new(
            inner,
            self.render.clone(),
            self.arrival,
            self.quotas.clone(),
        )
    }
}

/// Its layers have their protocol.
impl<L, R, Q> Adopt<Q> for Respond<L, R> {
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
