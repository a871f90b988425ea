//! The places where tower's users put layers and services.

use std::convert::Infallible;
use std::io;

use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, State};
use buttress_core::{Error, WidenLayer};
use buttress_http::{HttpExt, RespondLayer, respond};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::util::{BoxCloneSyncService, Either, MapResponseLayer, option_layer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::{BoxError, breaker, bulkhead, double, hello, text};

type Boxed = UnsyncBoxBody<Bytes, Infallible>;

fn boxed<B>(response: Response<B>) -> Response<Boxed>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    response.map(BodyExt::boxed_unsync)
}

async fn failing_hello(_: Request<()>) -> Result<Response<Full<Bytes>>, BoxError> {
    Ok(Response::new(Full::from("hello")))
}

#[tokio::test]
async fn a_plain_layer_may_as_well_not_be_there() {
    for on in [true, false] {
        let breaker = CircuitBreaker::builder("optional").build();
        let layer: Either<CircuitBreakerLayer, _> = option_layer(on.then(|| breaker.layer()));
        let service = ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(double));
        assert_eq!(service.oneshot(21).await.unwrap(), 42);
        assert_eq!(breaker.snapshot().success_count, u64::from(on));
    }
}

#[tokio::test]
async fn a_layer_until_headers_may_as_well_not_be_there() {
    for on in [true, false] {
        let bulkhead = Bulkhead::builder("optional").build();
        let layer = on.then(|| bulkhead.refusing_layer().http().until_headers());
        let service = ServiceBuilder::new()
            .layer(option_layer(layer))
            .layer(WidenLayer)
            .service(service_fn(hello));
        let answer: Response<Full<Bytes>> = service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(text(answer).await, "hello");
        assert_eq!(bulkhead.snapshot().success_count, u64::from(on));
    }
}

#[tokio::test]
async fn a_layer_to_the_last_frame_may_as_well_not_be_there_when_bodies_are_boxed() {
    for on in [true, false] {
        let breaker = CircuitBreaker::builder("optional").build();
        let layer = on.then(|| (MapResponseLayer::new(boxed), breaker.layer().http()));
        let service = ServiceBuilder::new()
            .layer(option_layer(layer))
            .layer(WidenLayer)
            .map_response(boxed)
            .service(service_fn(hello));
        let answer: Response<Boxed> = service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(breaker.snapshot().success_count, 0);
        assert_eq!(text(answer).await, "hello");
        assert_eq!(breaker.snapshot().success_count, u64::from(on));
    }
}

#[tokio::test]
async fn either_of_two_layers_is_chosen_at_run_time() {
    for left in [true, false] {
        let (bulkhead, breaker) = (bulkhead(), breaker());
        let layer = if left {
            Either::Left(bulkhead.clone())
        } else {
            Either::Right(breaker.clone())
        };
        let service = layer.layer(service_fn(double));
        assert_eq!(service.oneshot(21).await.unwrap(), 42);
        assert_eq!(
            bulkhead.bulkhead().snapshot().success_count,
            u64::from(left)
        );
        assert_eq!(breaker.breaker().snapshot().success_count, u64::from(!left));
    }
}

#[tokio::test]
async fn guarded_services_are_boxed() {
    let both = || (bulkhead(), breaker());
    let plain: BoxCloneSyncService<u32, u32, BoxError> =
        BoxCloneSyncService::new(both().layer(service_fn(double)));
    assert_eq!(plain.clone().oneshot(21).await.unwrap(), 42);

    let client = ServiceBuilder::new()
        .map_response(boxed)
        .layer(both().http())
        .layer(WidenLayer);
    let client: BoxCloneSyncService<Request<()>, Response<Boxed>, Error<Infallible>> =
        BoxCloneSyncService::new(client.service(service_fn(hello)));
    assert_eq!(
        text(client.oneshot(Request::new(())).await.unwrap()).await,
        "hello"
    );

    let server: BoxCloneSyncService<Request<()>, _, Infallible> =
        BoxCloneSyncService::new(respond(both()).layer(service_fn(hello)));
    assert_eq!(
        text(server.oneshot(Request::new(())).await.unwrap()).await,
        "hello"
    );
}

/// Where a bound of `'static` too many in an impl for boxed errors is refused by the compiler.
#[tokio::test]
async fn a_call_of_a_service_with_boxed_errors_runs_on_another_task() {
    let plain = ServiceBuilder::new()
        .layer((bulkhead(), breaker()))
        .service(service_fn(double));
    let call = tokio::spawn(plain.clone().oneshot(21));
    assert_eq!(call.await.unwrap().unwrap(), 42);
    let call = tokio::spawn(async move {
        let mut plain = plain;
        plain.ready().await?.call(u32::MAX).await
    });
    assert_eq!(call.await.unwrap().unwrap_err().to_string(), "too large");

    let http = ServiceBuilder::new()
        .layer((bulkhead(), breaker()).http())
        .service(service_fn(failing_hello));
    let call = tokio::spawn(http.clone().oneshot(Request::new(())));
    assert_eq!(text(call.await.unwrap().unwrap()).await, "hello");
    let call = tokio::spawn(RespondLayer::new().layer(http).oneshot(Request::new(())));
    assert_eq!(text(call.await.unwrap().unwrap()).await, "hello");
}

#[tokio::test]
async fn a_future_behind_a_handle_runs_on_another_task() {
    let (bulkhead, breaker) = (
        Bulkhead::builder("a").build(),
        CircuitBreaker::builder("b").build(),
    );
    let call = tokio::spawn(async move {
        let inner = bulkhead.run(async { Err::<(), _>(io::Error::other("on fire")) });
        breaker.run(inner).await.map_err(Error::flatten)
    });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.into_inner().unwrap().to_string(), "on fire");
}

#[tokio::test]
async fn one_layer_around_two_services_is_one_breaker() {
    let layer = CircuitBreakerLayer::consecutive(2);
    let broken = || service_fn(|()| async { Err::<(), BoxError>("broken".into()) });
    let (left, right) = (layer.layer(broken()), layer.clone().layer(broken()));
    left.oneshot(()).await.unwrap_err();
    assert_eq!(layer.breaker().snapshot().state, State::Closed);
    right.oneshot(()).await.unwrap_err();
    assert_eq!(layer.breaker().snapshot().state, State::Open);
}
