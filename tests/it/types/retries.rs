//! The same for retries.

use std::convert::Infallible;

use buttress_core::{Error, WidenLayer};
use buttress_http::{HttpExt, Replayed, respond};
use buttress_retry::{CloneBy, Retry, RetryBudget, RetryBudgetLayer, RetryToken};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::util::{BoxCloneSyncService, Either, option_layer};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use super::{BoxError, breaker, bulkhead, double, fits, text};

type Body = Full<Bytes>;

async fn echo(request: Request<Replayed<Body>>) -> Result<Response<Body>, Infallible> {
    drop(request);
    Ok(Response::new(Full::from("hello")))
}

fn request() -> Request<Body> {
    Request::new(Full::from("who is there?"))
}

#[test]
fn layers_services_and_futures_are_send_sync_and_static_where_their_parts_are() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Retry>();
    anywhere::<RetryBudget>();
    anywhere::<RetryToken>();
    anywhere::<Replayed<Body>>();
    anywhere::<RetryBudgetLayer<CloneBy<(), ()>>>();
    let both = || (RetryBudgetLayer::new(3), breaker());
    fits(&both(), service_fn(double), 1);
    fits(&(both().http(), WidenLayer), service_fn(echo), request());
    fits(&(both().grpc(), WidenLayer), service_fn(echo), request());
    let shorter = both().http().until_headers();
    fits(&(shorter, WidenLayer), service_fn(echo), request());
    fits(&respond(both()), service_fn(echo), request());
}

#[tokio::test]
async fn a_retry_may_as_well_not_be_there() {
    for on in [true, false] {
        let retry = Retry::builder("optional").build();
        let layer: Either<RetryBudgetLayer, _> = option_layer(on.then(|| retry.layer()));
        let service = ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(double));
        assert_eq!(service.oneshot(21).await.unwrap(), 42);
        assert_eq!(retry.snapshot().budget.total_requests, u64::from(on));
    }
}

#[tokio::test]
async fn services_that_retry_are_boxed_and_run_on_other_tasks() {
    let plain: BoxCloneSyncService<u32, u32, BoxError> =
        BoxCloneSyncService::new(RetryBudgetLayer::new(3).layer(service_fn(double)));
    let call = tokio::spawn(plain.clone().oneshot(21));
    assert_eq!(call.await.unwrap().unwrap(), 42);
    // Around a service that is boxed, too.
    let outer = (RetryBudgetLayer::new(3), bulkhead()).layer(plain);
    assert_eq!(tokio::spawn(outer.oneshot(4)).await.unwrap().unwrap(), 8);

    let client = (RetryBudgetLayer::new(3).http(), WidenLayer).layer(service_fn(echo));
    let client: BoxCloneSyncService<Request<Body>, Response<Body>, Error<Infallible>> =
        BoxCloneSyncService::new(client);
    let call = tokio::spawn(client.oneshot(request()));
    assert_eq!(text(call.await.unwrap().unwrap()).await, "hello");
}
