//! Where layers, services and futures must fit: most of it is for the compiler to check, and called once to be sure.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use buttress_bulkhead::{Bulkhead, RefusingBulkheadLayer};
use buttress_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, State};
use buttress_core::{Error, Observer, Rejected, Verdict, WidenLayer, by};
use buttress_http::{
    HttpExt, RespondLayer, as_is, by_code, by_head, by_response, respond, respond_grpc,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::util::{BoxCloneSyncService, Either, MapResponseLayer, option_layer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

type BoxError = Box<dyn StdError + Send + Sync>;
type Boxed = UnsyncBoxBody<Bytes, Infallible>;

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

async fn failing_hello(_: Request<()>) -> Result<Response<Full<Bytes>>, BoxError> {
    Ok(Response::new(Full::from("hello")))
}

fn boxed<B>(response: Response<B>) -> Response<Boxed>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    response.map(BodyExt::boxed_unsync)
}

async fn text<B>(response: Response<B>) -> Bytes
where
    B: Body<Data = Bytes, Error = Infallible>,
{
    response.into_body().collect().await.unwrap().to_bytes()
}

// === Send, Sync, 'static, Clone and Debug where the parts are ===

fn anywhere<T: Send + Sync + 'static>() {}

/// What a layer, its services and their futures are, over a service that is all of it.
fn fits<L, S, Req>(layer: &L, inner: S, request: Req)
where
    L: Layer<S> + Clone + Send + Sync + 'static,
    L::Service: Service<Req, Future: Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    let service = layer.clone().layer(inner);
    drop(service.clone().call(request));
}

#[test]
fn layers_services_and_futures_are_send_sync_and_static_where_their_parts_are() {
    let both = || (bulkhead(), breaker());
    fits(&both(), service_fn(double), 1);
    fits(&(both(), WidenLayer), service_fn(hello), Request::new(()));
    fits(
        &(both().http(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(both().grpc(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(both().http().until_headers(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(RespondLayer::new(), both().http(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(&respond(both()), service_fn(hello), Request::new(()));
    fits(
        &respond(both().until_headers()),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &respond_grpc((bulkhead(), as_is(WidenLayer), breaker())),
        service_fn(hello),
        Request::new(()),
    );
}

#[test]
fn layers_services_and_futures_can_be_printed() {
    fn named(thing: &impl Debug, name: &str) {
        let text = format!("{thing:?}");
        assert!(text.contains(name), "{text} does not contain {name}");
    }
    let layers = respond((bulkhead(), breaker()));
    let mut service = layers.layer(service_fn(hello));
    named(&layers, "RefusingBulkheadLayer");
    named(&layers, "CircuitBreakerLayer");
    named(&service, "CircuitBreaker");
    named(&service.call(Request::new(())), "calling");
}

#[test]
fn handles_permits_and_what_they_tell_are_send_sync_and_static() {
    anywhere::<Bulkhead>();
    anywhere::<buttress_bulkhead::BulkheadBuilder>();
    anywhere::<buttress_bulkhead::Event>();
    anywhere::<buttress_bulkhead::Permit>();
    anywhere::<buttress_bulkhead::Snapshot>();
    anywhere::<CircuitBreaker>();
    anywhere::<buttress_circuit_breaker::CircuitBreakerBuilder>();
    anywhere::<buttress_circuit_breaker::Event>();
    anywhere::<buttress_circuit_breaker::Permit>();
    anywhere::<buttress_circuit_breaker::Snapshot>();
    anywhere::<Error<Rejected>>();
    anywhere::<Box<dyn Observer<buttress_bulkhead::Event>>>();
}

#[tokio::test]
async fn a_service_that_cannot_leave_its_thread_is_guarded_too() {
    let here = Rc::new(20);
    let service = service_fn(move |n: u32| {
        let here = Rc::clone(&here);
        async move { Ok::<_, BoxError>(*here + n) }
    });
    let service = ServiceBuilder::new()
        .layer((bulkhead(), breaker()))
        .service(service);
    assert_eq!(service.oneshot(22).await.unwrap(), 42);
}

/// There is one of it, and its readiness goes with it.
struct Single;

impl Service<u32> for Single {
    type Response = u32;
    type Error = io::Error;
    type Future = Ready<io::Result<u32>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u32) -> Self::Future {
        ready(Ok(n))
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_cloned_is_guarded_too() {
    let layers = ServiceBuilder::new()
        .layer((bulkhead(), breaker()))
        .layer(WidenLayer);
    let mut service = layers.service(Single);
    for n in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(n).await.unwrap(), n);
    }
}

// === Places where tower's users put layers and services ===

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

// === Closures that classify ===

#[tokio::test]
async fn a_closure_classifies_plain_calls() {
    let odd = by(|result: Result<&u32, &BoxError>| match result {
        Ok(n) if n % 2 == 0 => Verdict::Success,
        _ => Verdict::Failure,
    });
    let layers = (bulkhead().classify(odd), breaker().classify(odd));
    fits(&(layers.1.clone()), service_fn(double), 1);
    let identity = service_fn(|n: u32| async move { Ok::<_, BoxError>(n) });
    let service = ServiceBuilder::new()
        .layer(layers.clone())
        .service(identity);
    for n in [1, 2, 3] {
        assert_eq!(service.clone().oneshot(n).await.unwrap(), n);
    }
    let snapshot = layers.0.bulkhead().snapshot();
    assert_eq!((snapshot.success_count, snapshot.failure_count), (1, 2));
    let snapshot = layers.1.breaker().snapshot();
    assert_eq!((snapshot.success_count, snapshot.failure_count), (1, 2));
}

/// Each of them calls the answer of [`hello`] a failure, which no usual classifier does.
#[tokio::test]
async fn closures_classify_answers_and_survive_the_adoption_of_a_protocol() {
    macro_rules! is_a_failure {
        (|$layer:ident| $adopted:expr) => {{
            let breaker = CircuitBreaker::builder("strict").build();
            let $layer = breaker.layer();
            let service = $adopted.layer(service_fn(hello));
            fits(&$adopted, service_fn(hello), Request::new(()));
            assert_eq!(
                text(service.oneshot(Request::new(())).await.unwrap()).await,
                "hello"
            );
            assert_eq!(breaker.snapshot().failure_count, 1, stringify!($adopted));
        }};
    }
    let head = by_head(|_| Verdict::Failure);
    let response = by_response(|_: &Response<_>| Verdict::Failure);
    let result = by(|_: Result<&Response<_>, &_>| Verdict::Failure);
    let code = by_code(|_| Verdict::Failure);
    is_a_failure!(|layer| respond(layer.clone().classify(head)));
    is_a_failure!(|layer| respond((bulkhead(), layer.clone().classify(response))));
    is_a_failure!(|layer| respond((bulkhead(), layer.clone().classify(result))));
    is_a_failure!(|layer| (
        layer.clone().classify(head).until_headers().http(),
        WidenLayer
    ));
    is_a_failure!(|layer| (layer.clone().http().classify(head), WidenLayer));
    is_a_failure!(|layer| respond_grpc(layer.clone().classify(code)));
}
