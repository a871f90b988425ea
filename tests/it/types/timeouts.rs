//! The same for timeouts.

use std::convert::Infallible;
use std::fmt::Debug;
use std::time::Duration;

use buttress_core::{Error, WidenLayer};
use buttress_http::{HttpExt, RespondLayer, respond, respond_grpc};
use buttress_retry::RetryBudgetLayer;
use buttress_timeout::{
    AdaptiveTimeout, AdaptiveTimeoutBuilder, AdaptiveTimeoutLayer, BodyWatch,
    ConnectionTimeoutLayer, Event, Snapshot,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::util::{BoxCloneSyncService, Either, MapResponseLayer, option_layer};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use super::{BoxError, breaker, bulkhead, double, fits, hello};

type Boxed = UnsyncBoxBody<Bytes, BoxError>;

fn both() -> (AdaptiveTimeoutLayer, AdaptiveTimeoutLayer) {
    let fixed = AdaptiveTimeoutLayer::fixed(Duration::from_secs(1));
    (AdaptiveTimeoutLayer::new(), fixed)
}

fn boxed<B>(response: Response<B>) -> Response<Boxed>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}

async fn text<B>(response: Response<B>) -> Bytes
where
    B: Body<Data = Bytes, Error: Debug>,
{
    response.into_body().collect().await.unwrap().to_bytes()
}

#[test]
fn layers_services_and_futures_are_send_sync_and_static_where_their_parts_are() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<AdaptiveTimeout>();
    anywhere::<AdaptiveTimeoutBuilder>();
    anywhere::<AdaptiveTimeoutLayer>();
    anywhere::<BodyWatch>();
    anywhere::<Event>();
    anywhere::<Snapshot>();
    fits(&both(), service_fn(double), 1);
    let all = || (both(), bulkhead(), breaker());
    fits(&(all(), WidenLayer), service_fn(hello), Request::new(()));
    fits(
        &(all().http(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(all().grpc(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    let shorter = all().http().until_headers();
    fits(&(shorter, WidenLayer), service_fn(hello), Request::new(()));
    fits(&respond(all()), service_fn(hello), Request::new(()));
    fits(&respond(both().0), service_fn(hello), Request::new(()));
    fits(&respond((both().0,)), service_fn(hello), Request::new(()));
    fits(&respond_grpc(all()), service_fn(hello), Request::new(()));
    let connector = service_fn(|n: u32| Box::pin(double(n)));
    fits(&ConnectionTimeoutLayer::new(), connector, 1);
}

#[tokio::test]
async fn a_timeout_may_as_well_not_be_there() {
    for on in [true, false] {
        let timeout = AdaptiveTimeout::builder("optional").build();
        let layer: Either<AdaptiveTimeoutLayer, _> = option_layer(on.then(|| timeout.layer()));
        let service = layer.layer(service_fn(double));
        assert_eq!(service.oneshot(21).await.unwrap(), 42);

        let until_headers = on.then(|| timeout.layer().http().until_headers());
        let service = ServiceBuilder::new()
            .layer(option_layer(until_headers))
            .layer(WidenLayer)
            .service(service_fn(hello));
        let answer: Response<Full<Bytes>> = service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(text(answer).await, "hello");

        let to_the_end = on.then(|| (MapResponseLayer::new(boxed), timeout.layer().http()));
        let service = ServiceBuilder::new()
            .layer(option_layer(to_the_end))
            .layer(WidenLayer)
            .map_response(boxed)
            .service(service_fn(hello));
        let answer: Response<Boxed> = service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(text(answer).await, "hello");
        assert_eq!(timeout.snapshot().samples, if on { 3 } else { 0 });
    }
}

#[tokio::test]
async fn services_with_timeouts_are_boxed_and_run_on_other_tasks() {
    let plain: BoxCloneSyncService<u32, u32, BoxError> =
        BoxCloneSyncService::new(both().layer(service_fn(double)));
    let call = tokio::spawn(plain.clone().oneshot(21));
    assert_eq!(call.await.unwrap().unwrap(), 42);
    let outer = (both().0, RetryBudgetLayer::new(3), both().1).layer(plain);
    assert_eq!(tokio::spawn(outer.oneshot(4)).await.unwrap().unwrap(), 8);

    let client = ServiceBuilder::new()
        .map_response(boxed)
        .layer(both().http())
        .layer(WidenLayer)
        .service(service_fn(hello));
    let client: BoxCloneSyncService<Request<()>, Response<Boxed>, Error<Infallible>> =
        BoxCloneSyncService::new(client);
    let call = tokio::spawn(client.oneshot(Request::new(())));
    assert_eq!(text(call.await.unwrap().unwrap()).await, "hello");

    let server: BoxCloneSyncService<Request<()>, _, Infallible> =
        BoxCloneSyncService::new(respond(both()).layer(service_fn(hello)));
    assert_eq!(
        text(server.oneshot(Request::new(())).await.unwrap()).await,
        "hello"
    );

    let flat = (RespondLayer::new(), both().http(), WidenLayer).layer(service_fn(hello));
    let call = tokio::spawn(flat.oneshot(Request::new(())));
    assert_eq!(text(call.await.unwrap().unwrap()).await, "hello");
}

#[tokio::test]
async fn a_future_behind_a_handle_runs_on_another_task() {
    let timeout = AdaptiveTimeout::fixed(Duration::from_secs(1));
    let call =
        tokio::spawn(async move { timeout.run(async { Ok::<_, std::io::Error>(42) }).await });
    assert_eq!(call.await.unwrap().unwrap(), 42);
}
