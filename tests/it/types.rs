//! Where layers, services and futures must fit: most of it is for the compiler to check, and called once to be sure.

mod bounds;
mod closures;
mod fallbacks;
mod places;
mod queues;
mod rates;
mod retries;
mod timeouts;

use std::convert::Infallible;
use std::error::Error as StdError;

use buttress_bulkhead::RefusingBulkheadLayer;
use buttress_circuit_breaker::CircuitBreakerLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service};

type BoxError = Box<dyn StdError + Send + Sync>;

fn bulkhead() -> RefusingBulkheadLayer {
    RefusingBulkheadLayer::new(10)
}

fn breaker() -> CircuitBreakerLayer {
    CircuitBreakerLayer::consecutive(5)
}

async fn double(n: u32) -> Result<u32, BoxError> {
    n.checked_mul(2).ok_or_else(|| "too large".into())
}

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

async fn text<B>(response: Response<B>) -> Bytes
where
    B: Body<Data = Bytes, Error = Infallible>,
{
    response.into_body().collect().await.unwrap().to_bytes()
}

/// What a layer, its services and their futures are, over a service that is all of it.
fn fits<L, S, Req>(layer: &L, inner: S, request: Req)
where
    L: Layer<S> + Clone + Send + Sync + 'static,
    L::Service: Service<Req, Future: Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    let service = layer.clone().layer(inner);
    drop(service.clone().call(request));
}
