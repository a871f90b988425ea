//! The same for rate limits, for calls that do wait in line, and for what is kept by key.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use buttress::{
    Bulkhead, CircuitBreaker, ClientIp, Error, KeyedRateLimit, Rate, RateLimit, RateLimitLayer,
    Verdict, WaitingRateLimitLayer, WidenLayer, as_is, by, by_path, respond, respond_grpc,
};
use buttress_bulkhead::KeyedBulkhead;
use buttress_circuit_breaker::KeyedCircuitBreaker;
use buttress_http::{ClientKey, HttpExt, RespondLayer};
use buttress_rate_limit::{Acquire, KeyedPermit, KeyedRateLimitBuilder, Permit, RateLimitBuilder};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tower::util::{BoxCloneSyncService, Either, option_layer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::{BoxError, breaker, bulkhead, double, fits, hello, text};

/// As many as anybody likes.
fn generous() -> RateLimit {
    RateLimit::builder("generous").build()
}

/// One unit, which is taken, and does not come back until it is given back: until then calls wait.
fn spent() -> (RateLimit, Permit) {
    let rate = Rate::per_hour(1);
    let limit = RateLimit::builder("spent").token_bucket(rate);
    let limit = limit.max_wait(Duration::MAX).build();
    let taken = limit.try_acquire().unwrap();
    (limit, taken)
}

/// Lets a call wait on another task, gives the unit back, and gives what became of the call.
async fn after_a_wait<F>(limit: &RateLimit, taken: Permit, call: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let call = tokio::spawn(call);
    while limit.snapshot().waiting == 0 {
        tokio::task::yield_now().await;
    }
    taken.give_back();
    let output = call.await.unwrap();
    assert_eq!(limit.snapshot().waiting, 0);
    output
}

/// By the number that is asked for.
fn by_number() -> KeyedRateLimit<u32> {
    RateLimit::builder("by-number").keyed().build()
}

#[test]
fn layers_services_and_futures_are_send_sync_and_static_where_their_parts_are() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Acquire>();
    anywhere::<KeyedBulkhead<String>>();
    anywhere::<KeyedCircuitBreaker<String>>();
    anywhere::<KeyedPermit<String>>();
    anywhere::<KeyedRateLimit<String>>();
    anywhere::<KeyedRateLimitBuilder>();
    anywhere::<Permit>();
    anywhere::<RateLimit>();
    anywhere::<RateLimitBuilder>();
    anywhere::<buttress_rate_limit::Event>();
    anywhere::<buttress_rate_limit::KeyedSnapshot>();
    anywhere::<buttress_rate_limit::Snapshot>();
    let both = || (generous().layer(), generous().waiting_layer());
    fits(&both(), service_fn(double), 1);
    let by_key = by_number().by(|n: &u32| Some(*n));
    fits(&(both(), by_key, breaker()), service_fn(double), 1);
    let three = || (both(), keyed().by(by_path()));
    fits(&(three(), WidenLayer), service_fn(hello), Request::new(()));
    fits(
        &(three().http(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(three().grpc(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    let until_headers = three().http().until_headers();
    fits(
        &(until_headers, WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    let flat = (RespondLayer::new(), three().http(), WidenLayer);
    fits(&flat, service_fn(hello), Request::new(()));
    fits(&respond(three()), service_fn(hello), Request::new(()));
    fits(
        &respond(three().until_headers()),
        service_fn(hello),
        Request::new(()),
    );
    let foreign = (generous().layer(), as_is(WidenLayer), bulkhead());
    fits(&respond_grpc(foreign), service_fn(hello), Request::new(()));
}

/// A limit whose key nobody has named: it follows from what gives it.
macro_rules! keyed_limit {
    () => {
        RateLimit::builder("keyed").keyed().build()
    };
}

fn keyed() -> KeyedRateLimit<buttress_http::HashedKey> {
    keyed_limit!()
}

/// In a router as users write it, with keys of every kind.
#[tokio::test]
async fn keys_and_closures_infer_without_annotations_in_a_router() {
    let app = || Router::new().route("/", get(|| async { "hello" }));
    let (client, path, method) = (keyed_limit!(), keyed_limit!(), keyed_limit!());
    let (hosts, tenants) = (
        CircuitBreaker::builder("hosts").keyed().build(),
        Bulkhead::builder("tenants").keyed().build(),
    );
    let app = app()
        .layer(respond((
            client.by(ClientIp::peer()),
            bulkhead(),
            breaker(),
        )))
        .layer(respond(path.by(by_path())))
        .layer(respond((
            method.by(|request: &Request<_>| Some(request.method().clone())),
            generous().layer(),
        )))
        .layer(respond((
            hosts.by(by_path()),
            tenants.refusing_by(by_path()),
        )))
        .layer(respond((tenants.by(by_path()), generous().waiting_layer())));
    let mut request = Request::new(axum::body::Body::empty());
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 4711));
    request.extensions_mut().insert(buttress_http::Peer(peer));
    let answer = app.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let key: ClientKey = ClientIp::peer().key_of(peer.ip());
    assert_eq!(client.quota(&key).remaining, 999);
    assert_eq!(method.quota(&http::Method::GET).remaining, 999);
    assert_eq!(
        (
            path.snapshot().keys,
            hosts.snapshot().keys,
            tenants.snapshot().keys
        ),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn layers_services_and_futures_can_be_printed() {
    let (limit, _taken) = spent();
    let layers = respond((limit.waiting_layer(), limit.layer(), keyed().by(by_path())));
    let printed = format!("{layers:?}");
    for name in [
        "WaitingRateLimitLayer",
        "RateLimitLayer",
        "KeyedRateLimitLayer",
        "spent",
    ] {
        assert!(printed.contains(name), "{printed} does not contain {name}");
    }
    let service = layers.layer(service_fn(hello));
    let printed = format!("{service:?}");
    assert!(
        printed.contains("Queued") && printed.contains("KeyedGate"),
        "{printed}"
    );
    let waiting = limit.waiting_layer().layer(service_fn(double)).call(21);
    assert!(format!("{waiting:?}").contains("waiting"), "{waiting:?}");
    assert!(format!("{:?}", limit.acquire()).contains("spent"));
}

#[tokio::test]
async fn a_call_that_waits_in_line_on_another_task_ends_there() {
    let (limit, taken) = spent();
    let plain = (limit.waiting_layer(), breaker()).layer(service_fn(double));
    let call = after_a_wait(&limit, taken, plain.oneshot(21)).await;
    assert_eq!(call.unwrap(), 42);

    let (limit, taken) = spent();
    let plain = (limit.waiting_layer(), breaker()).layer(service_fn(double));
    let call = async move {
        let mut plain = plain;
        plain.ready().await?.call(u32::MAX).await
    };
    let error = after_a_wait(&limit, taken, call).await.unwrap_err();
    assert_eq!(error.to_string(), "too large");

    let (limit, taken) = spent();
    let server = respond((limit.waiting_layer(), breaker())).layer(service_fn(hello));
    let answer = after_a_wait(&limit, taken, server.oneshot(Request::new(()))).await;
    let answer: Result<_, Infallible> = answer;
    assert_eq!(text(answer.unwrap()).await, "hello");

    let (limit, taken) = spent();
    let handle = limit.clone();
    let call = async move {
        let failing = async { Err::<(), _>(io::Error::other("on fire")) };
        handle.run_in_turn(failing).await
    };
    let error = after_a_wait(&limit, taken, call).await.unwrap_err();
    assert_eq!(error.into_inner().unwrap().to_string(), "on fire");
}

#[tokio::test]
async fn a_rate_limit_may_as_well_not_be_there() {
    for on in [true, false] {
        let limit = generous();
        let layer: Either<RateLimitLayer, _> = option_layer(on.then(|| limit.layer()));
        assert_eq!(
            layer.layer(service_fn(double)).oneshot(21).await.unwrap(),
            42
        );
        let waiting: Either<WaitingRateLimitLayer, _> =
            option_layer(on.then(|| limit.waiting_layer()));
        assert_eq!(
            waiting.layer(service_fn(double)).oneshot(21).await.unwrap(),
            42
        );
        let keyed = by_number();
        let by_key = option_layer(on.then(|| keyed.by(|n: &u32| Some(*n))));
        assert_eq!(
            by_key.layer(service_fn(double)).oneshot(21).await.unwrap(),
            42
        );

        let until_headers = on.then(|| limit.layer().http().until_headers());
        let service = ServiceBuilder::new()
            .layer(option_layer(until_headers))
            .layer(WidenLayer)
            .service(service_fn(hello));
        let answer = service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(text(answer).await, "hello");
        assert_eq!(limit.snapshot().admitted_count, if on { 3 } else { 0 });
        assert_eq!(keyed.snapshot().admitted_count, u64::from(on));
    }
}

#[tokio::test]
async fn whether_calls_wait_in_line_or_are_refused_is_chosen_at_run_time() {
    for waits in [true, false] {
        let (limit, taken) = spent();
        let layer = if waits {
            Either::Left(limit.waiting_layer())
        } else {
            Either::Right(limit.layer())
        };
        let call = layer.layer(service_fn(double)).oneshot(21);
        if waits {
            assert_eq!(after_a_wait(&limit, taken, call).await.unwrap(), 42);
        } else {
            call.await.unwrap_err();
            assert_eq!(limit.snapshot().refused_count, 1);
        }
    }
}

type Boxed = UnsyncBoxBody<Bytes, Infallible>;

#[tokio::test]
async fn services_before_which_calls_wait_in_line_are_boxed() {
    let (limit, taken) = spent();
    let plain: BoxCloneSyncService<u32, u32, BoxError> =
        BoxCloneSyncService::new((limit.waiting_layer(), breaker()).layer(service_fn(double)));
    let call = after_a_wait(&limit, taken, plain.clone().oneshot(21)).await;
    assert_eq!(call.unwrap(), 42);

    let (limit, taken) = spent();
    let client = ServiceBuilder::new()
        .map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync))
        .layer(limit.waiting_layer().http())
        .layer(keyed().by(by_path()).http())
        .layer(WidenLayer);
    let client: BoxCloneSyncService<Request<()>, Response<Boxed>, Error<Infallible>> =
        BoxCloneSyncService::new(client.service(service_fn(hello)));
    let answer = after_a_wait(&limit, taken, client.oneshot(Request::new(()))).await;
    assert_eq!(text(answer.unwrap()).await, "hello");

    let server: BoxCloneSyncService<Request<()>, _, Infallible> = BoxCloneSyncService::new(
        respond((keyed().by(by_path()), generous().layer())).layer(service_fn(hello)),
    );
    let answer = tokio::spawn(server.oneshot(Request::new(())))
        .await
        .unwrap();
    assert_eq!(text(answer.unwrap()).await, "hello");
}

#[tokio::test]
async fn a_service_that_cannot_leave_its_thread_is_limited_too() {
    let here = Rc::new(20);
    let service = service_fn(move |n: u32| {
        let here = Rc::clone(&here);
        async move { Ok::<_, BoxError>(*here + n) }
    });
    let (limit, taken) = spent();
    let keyed = by_number();
    let layers = (
        limit.waiting_layer(),
        keyed.by(|n: &u32| Some(*n)),
        generous().layer(),
    );
    let call = layers.layer(service).oneshot(22);
    let freeing = async {
        tokio::task::yield_now().await;
        assert_eq!(limit.snapshot().waiting, 1);
        taken.give_back();
    };
    let (result, ()) = tokio::join!(call, freeing);
    assert_eq!(result.unwrap(), 42);
}

/// The closures weigh in every protocol, said before or after it, and with a classifier said before or after that.
#[tokio::test]
async fn closures_weigh_calls_and_survive_the_adoption_of_a_protocol() {
    macro_rules! costs {
        ($cost:literal, |$layer:ident| $adopted:expr) => {{
            let limit = generous();
            let $layer = limit.layer();
            let layers = $adopted;
            fits(&layers, service_fn(hello), Request::new(()));
            let answer = layers.layer(service_fn(hello)).oneshot(Request::new(()));
            assert_eq!(text(answer.await.unwrap()).await, "hello");
            let $layer = limit.waiting_layer();
            let answer = $adopted.layer(service_fn(hello)).oneshot(Request::new(()));
            assert_eq!(text(answer.await.unwrap()).await, "hello");
            // Three calls, and `fits` has dropped one of them, which keeps what it took.
            let left = limit.quota().remaining;
            assert_eq!(left, 1000 - 2 * $cost - 10, stringify!($adopted));
        }};
    }
    let ten = |_: &Request<()>| 10;
    let three = |_: &Response<_>| Some(3);
    let throttled = by(|_: Result<&Response<_>, &_>| Verdict::Throttled { retry_after: None });
    costs!(10, |layer| respond(layer.cost(ten)));
    costs!(10, |layer| (layer.http().cost(ten), WidenLayer));
    costs!(10, |layer| (layer.cost(ten).http(), WidenLayer));
    costs!(10, |layer| (
        layer.cost(ten).http().until_headers(),
        WidenLayer
    ));
    costs!(10, |layer| respond_grpc(layer.cost(ten)));
    costs!(3, |layer| respond(layer.cost(ten).actual(three)));
    costs!(3, |layer| respond((
        layer.cost(ten).actual(|_: &Response<_>| Some(3)),
        bulkhead()
    )));
    costs!(3, |layer| (
        layer.cost(ten).actual(three).grpc(),
        WidenLayer
    ));
    costs!(0, |layer| respond(
        layer.cost(ten).actual(three).classify(throttled)
    ));
    costs!(0, |layer| respond(
        layer.classify(throttled).cost(ten).actual(three)
    ));
}
