use std::sync::Arc;

use buttress_core::{Adopt, QuotaSource, QuotaSources, Rejected};
use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

use crate::arrival::Arrival;
use crate::quotas::Quotas;
use crate::{GrpcStatus, Http, Problem, QuotaFields, RespondService};

/// The upper half of [`respond`](crate::respond()), for a flat stack: answers what the layers below refuse.
///
/// The lower half is [`WidenLayer`](buttress_core::WidenLayer), innermost; over a service whose error is boxed it is not
/// needed. In between, each layer of ours says for itself that it stands on HTTP. Without that a 500 counts as a success. A layer
/// that says so takes itself for a client's: one that limits time writes what remains into a header of the request, where the
/// handler sees it. In [`respond`](crate::respond()) it does not.
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
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct RespondLayer<R = Problem> {
    render: R,
    arrival: Arrival,
    quotas: Quotas,
}

impl RespondLayer {
    /// Answers with [`Problem`]s.
    pub const fn new() -> Self {
        Self {
            render: Problem,
            arrival: Arrival::NOTHING,
            quotas: Quotas::without_sources(QuotaFields::Draft11),
        }
    }

    /// Answers with gRPC statuses, and reads deadlines as [`respond_grpc`](crate::respond_grpc) does.
    pub const fn grpc() -> RespondLayer<GrpcStatus> {
        RespondLayer {
            render: GrpcStatus,
            arrival: Arrival::GRPC,
            quotas: Quotas::without_sources(QuotaFields::None),
        }
    }
}

impl<R> RespondLayer<R> {
    /// Answers refusals in a format of one's own, as [`Respond::render`](crate::Respond::render) does.
    pub fn render<F, T>(self, render: F) -> RespondLayer<F>
    where
        F: Fn(&Rejected) -> Response<T>,
        T: Into<Bytes>,
    {
        RespondLayer {
            render,
            arrival: self.arrival,
            quotas: self.quotas,
        }
    }

    /// Believes what a request says of the time that its sender will wait, as [`Respond::trust_request_timeout`](crate::Respond::trust_request_timeout) does.
    pub const fn trust_request_timeout(mut self) -> Self {
        self.arrival = self.arrival.trusting_http();
        self
    }

    /// Tells clients that are refused in these fields, as [`Respond::quota_fields`](crate::Respond::quota_fields) does. What the layers below write on answers
    /// they are told themselves: [`quota_fields`](crate::HttpExt::quota_fields).
    pub const fn quota_fields(mut self, fields: QuotaFields) -> Self {
        self.quotas.fields = fields;
        self
    }

    /// Names a layer, or a tuple of layers, below whose refusals are to tell the policy behind them. In [`respond`](crate::respond()) nobody has to.
    ///
    /// ```
    /// use buttress_bulkhead::RefusingBulkheadLayer;
    /// use buttress_core::WidenLayer;
    /// use buttress_http::{HttpExt, QuotaFields, RespondLayer};
    /// use tower::ServiceBuilder;
    ///
    /// // A `RateLimitLayer` in its place has something to say.
    /// let limit = RefusingBulkheadLayer::new(100).http().quota_fields(QuotaFields::Draft11);
    /// let stack = ServiceBuilder::new()
    ///     .layer(RespondLayer::new().quotas_of(&limit))
    ///     .layer(limit)
    ///     .layer(WidenLayer);
    /// # let _ = stack;
    /// ```
    pub fn quotas_of<L: Adopt<Http>>(mut self, layers: &L) -> Self {
        let mut sources = QuotaSources::new();
        layers.quota_sources(&mut sources);
        self.quotas.add(sources);
        self
    }

    /// Names a source of quotas, as [`Respond::quota_source`](crate::Respond::quota_source) does.
    pub fn quota_source(mut self, source: Arc<dyn QuotaSource>) -> Self {
        self.quotas.add([source]);
        self
    }
}

impl Default for RespondLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for RespondLayer<GrpcStatus> {
    fn default() -> Self {
        RespondLayer::grpc()
    }
}

impl<S, R: Clone> Layer<S> for RespondLayer<R> {
    type Service = RespondService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let render = self.render.clone();
        RespondService::new(inner, render, self.arrival, self.quotas.clone())
    }
}

/// It has no protocol to choose.
impl<R, Q> Adopt<Q> for RespondLayer<R> {
    type Adopted = Self;

    fn adopt(self, _: Q) -> Self {
        self
    }
}
