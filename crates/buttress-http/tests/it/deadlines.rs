//! Who tells whom how long it will wait: deadlines between the edge of a service, its handler and the next service.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{Adopt, Deadline, Mark, Plain, RequestContext, WidenLayer};
use buttress_http::{
    GRPC_TIMEOUT_HEADER, HttpExt, RespondLayer, TIMEOUT_HEADER, inherit, respond, respond_grpc,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::Empty;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const LIMIT: Duration = Duration::from_millis(250);

/// What a layer that limits time does with a request.
#[derive(Clone, Copy)]
struct Limit<P = Plain> {
    protocol: P,
}

const PLAIN: Limit = Limit {
    protocol: Plain::new(),
};

impl<P: Adopt<Q>, Q> Adopt<Q> for Limit<P> {
    type Adopted = Limit<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        Limit {
            protocol: self.protocol.adopt(protocol),
        }
    }
}

impl<S, P: Clone> Layer<S> for Limit<P> {
    type Service = Limited<S, P>;

    fn layer(&self, inner: S) -> Limited<S, P> {
        Limited {
            inner,
            protocol: self.protocol.clone(),
        }
    }
}

struct Limited<S, P> {
    inner: S,
    protocol: P,
}

impl<S, P> Service<Request<()>> for Limited<S, P>
where
    S: Service<Request<()>>,
    P: RequestContext<Request<()>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<()>) -> S::Future {
        let now = Instant::now();
        let own = Deadline::after(now, LIMIT);
        let given = self.protocol.deadline(&request);
        let deadline = given.map_or(own, |given| given.earlier(own));
        let mark = Mark::Deadline {
            deadline,
            now,
            announce: true,
        };
        self.protocol.stamp(&mut request, mark);
        self.inner.call(request)
    }
}

/// Answers with the headers and the deadline that it was called with.
async fn mirror(request: Request<()>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    *response.headers_mut() = request.headers().clone();
    *response.extensions_mut() = request.extensions().clone();
    Ok(response)
}

/// The headers that a handler sees behind this layer, and how long it has.
async fn seen<L, B>(layer: L, request: Request<()>) -> (HeaderMap, Duration)
where
    L: Layer<tower::util::BoxCloneService<Request<()>, Response<Empty<Bytes>>, Infallible>>,
    L::Service: Service<Request<()>, Response = Response<B>, Error: std::fmt::Debug>,
{
    let service = layer.layer(tower::util::BoxCloneService::new(service_fn(mirror)));
    let answer = service.oneshot(request).await.unwrap();
    let deadline = answer.extensions().get::<Deadline>().unwrap();
    let remaining = deadline.remaining(Instant::now());
    (answer.headers().clone(), remaining)
}

fn with(name: HeaderName, value: &'static str) -> Request<()> {
    Request::builder().header(name, value).body(()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn where_requests_arrive_headers_stay_as_they_came() {
    let sent = || with(GRPC_TIMEOUT_HEADER, "100m");
    let (headers, left) = seen(respond_grpc(PLAIN), sent()).await;
    assert_eq!(headers, *sent().headers());
    assert_eq!(left, Duration::from_millis(100));

    let sent = || with(TIMEOUT_HEADER, "1000");
    let (headers, left) = seen(respond(PLAIN).trust_request_timeout(), sent()).await;
    assert_eq!(headers, *sent().headers());
    assert_eq!(left, LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_chose_its_protocol_tells_the_next_service() {
    let sent = || with(GRPC_TIMEOUT_HEADER, "1S");
    let (headers, left) = seen(respond_grpc(PLAIN.grpc()), sent()).await;
    assert_eq!(headers[GRPC_TIMEOUT_HEADER], "250000u");
    assert_eq!(left, LIMIT);

    let flat = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .layer(PLAIN.until_headers().http())
        .layer(WidenLayer);
    let (headers, left) = seen(flat, with(TIMEOUT_HEADER, "100")).await;
    assert_eq!(headers[TIMEOUT_HEADER], "100");
    assert_eq!(left, LIMIT);
}

/// Two services: what the second sees is what the first was given, less what has passed.
#[tokio::test(start_paused = true)]
async fn what_a_caller_grants_reaches_the_service_behind_the_service() {
    let passed = Duration::from_millis(40);
    let handler = move |incoming: Request<()>| async move {
        tokio::time::sleep(passed).await;
        let mut outgoing = Request::new(());
        inherit(&incoming, &mut outgoing);
        PLAIN
            .http()
            .layer(service_fn(mirror))
            .oneshot(outgoing)
            .await
    };
    let service = respond_grpc(PLAIN).layer(service_fn(handler));
    let answer = service.oneshot(with(GRPC_TIMEOUT_HEADER, "100m")).await;
    assert_eq!(answer.unwrap().headers()[TIMEOUT_HEADER], "60");
}
