//! tower_governor: stands before services over HTTP, so every call becomes a request, and its answer is a response.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use governor::clock::QuantaInstant;
use governor::middleware::NoOpMiddleware;
use http::{Request, Response};
use tonic::body::Body;
use tower::util::service_fn;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::{GlobalKeyExtractor, KeyExtractor};
use tower_governor::{GovernorError, GovernorLayer};
use tower_layer::{Identity, Layer};
use tower_service::Service;

use super::Case;
use super::bare::OVER_HTTP;
use crate::inner::Down;
use crate::keys::{MANY, caller_of};
use crate::subject::{Refused, Script, Served, Subject, calls};

const WHO: &str = "tower_governor";

pub(super) const CASES: &[Case] = &[
    Case::special(WHO, "rate limit free", || {
        over_http::<Served>(asked(FREE, GlobalKeyExtractor, [()]))
    })
    .over(OVER_HTTP),
    Case::special(WHO, "rate limit spent: refuse", || {
        over_http::<Refused>(asked(SPENT, GlobalKeyExtractor, [()]))
    })
    .over(OVER_HTTP),
    Case::special(WHO, "rate limit by key: 1 key", by_key::<1>).over(OVER_HTTP),
    Case::special(WHO, "rate limit by key: 1000 keys", by_key::<1000>).over(OVER_HTTP),
    Case::special(WHO, "rate limit by key: 1 M keys", by_key::<MANY>).over(OVER_HTTP),
    Case::special(WHO, "rate limit by key: refuse", || {
        over_http::<Refused>(asked(SPENT, ByCaller::<1000>, 0..1000))
    })
    .over(OVER_HTTP),
];

/// Calls as requests, with nothing around them.
pub(super) fn bare() -> Box<dyn Subject> {
    over_http::<Served>(Identity::new())
}

fn by_key<const CALLERS: u64>() -> Box<dyn Subject> {
    over_http::<Served>(asked(FREE, ByCaller::<CALLERS>, 0..CALLERS))
}

/// After how long one more is let through, and how many at once.
type Quota = (Duration, u32);

/// Never spent, however fast calls come.
const FREE: Quota = (Duration::from_nanos(1), u32::MAX);
/// Spent by one call.
const SPENT: Quota = (Duration::from_secs(3600), 1);

type Plain = NoOpMiddleware<QuantaInstant>;

/// Limits of which each was asked once.
fn asked<X: KeyExtractor>(
    (period, burst): Quota,
    extractor: X,
    keys: impl IntoIterator<Item = X::Key>,
) -> GovernorLayer<X, Plain, Body> {
    let mut builder = GovernorConfigBuilder::default().key_extractor(extractor);
    let config: GovernorConfig<X, Plain> = builder
        .period(period)
        .burst_size(burst)
        .finish()
        .expect("the configuration is valid");
    for key in keys {
        assert!(config.limiter().check_key(&key).is_ok(), "it is new");
    }
    // As it answers over HTTP; by itself it would answer over gRPC, because of the type of the body.
    GovernorLayer::new(Arc::new(config))
        .error_handler(|error: GovernorError| error.into_response().map(Body::new))
}

/// The number of a call, where a server keeps the address of its peer: among the extensions.
#[derive(Clone, Copy)]
struct Number(u64);

#[derive(Clone)]
struct ByCaller<const CALLERS: u64>;

impl<const CALLERS: u64> KeyExtractor for ByCaller<CALLERS> {
    type Key = u64;

    fn extract<T>(&self, request: &Request<T>) -> Result<u64, GovernorError> {
        let number = request.extensions().get::<Number>();
        let number = number.ok_or(GovernorError::UnableToExtractKey)?;
        Ok(caller_of(number.0, CALLERS))
    }
}

/// Calls of `layer` over a service that answers every request. What is no success is an error.
fn over_http<P: Script>(layer: impl Layer<Answering, Service: Http>) -> Box<dyn Subject> {
    let mut service = layer.layer(Answering);
    calls::<P>(service_fn(move |call| {
        let mut request = Request::new(());
        request.extensions_mut().insert(Number(call));
        let response = service.call(request);
        async move {
            match response.await {
                Ok(response) if response.status().is_success() => Ok(call),
                _ => Err(Down),
            }
        }
    }))
}

/// A service over HTTP that a case can drive.
trait Http:
    Service<Request<()>, Response = Response<Body>, Error: Send, Future: Send> + Clone + Send + 'static
{
}

impl<S> Http for S where
    S: Service<Request<()>, Response = Response<Body>, Error: Send, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Answers every request at once, with nothing.
#[derive(Clone, Copy)]
struct Answering;

impl Service<Request<()>> for Answering {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}
