use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use buttress_core::{RequestContext, Widen};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::{Answer, Code, GrpcStatus, Http, Problem, RespondLayer, as_is, respond, respond_grpc};

const EARLY: Duration = Duration::from_millis(100);

/// Answers with the deadline that it was called with, and counts its calls.
macro_rules! serving {
    ($layer:expr, $calls:expr) => {{
        let calls: &Arc<AtomicUsize> = $calls;
        let calls = Arc::clone(calls);
        $layer.layer(Widen::new(service_fn(move |request: Request<()>| {
            calls.fetch_add(1, Ordering::Relaxed);
            let mut response = Response::new(Full::<Bytes>::default());
            if let Some(deadline) = Http::new().deadline(&request) {
                response.extensions_mut().insert(deadline);
            }
            async { Ok::<_, Infallible>(response) }
        })))
    }};
}

type Answered = Response<Answer<Full<Bytes>>>;

/// What a service behind `layer` finds of a request with this header, and with a deadline of its process.
async fn called<S>(service: S, header: (&str, &str), own: Option<Duration>) -> Answered
where
    S: Service<Request<()>, Response = Answered, Error: std::fmt::Debug>,
{
    let mut request = Request::builder().header(header.0, header.1);
    if let Some(own) = own {
        request = request.extension(Deadline::after(Instant::now(), own));
    }
    service.oneshot(request.body(()).unwrap()).await.unwrap()
}

fn remaining(answer: &Answered) -> Option<Duration> {
    let deadline = answer.extensions().get::<Deadline>();
    deadline.map(|deadline| deadline.remaining(Instant::now()))
}

const GRPC: (&str, &str) = ("grpc-timeout", "2S");
const HTTP: (&str, &str) = ("x-request-timeout", "2000");
const TWO: Option<Duration> = Some(Duration::from_secs(2));

/// Every layer that answers, and whether it reads either header.
macro_rules! for_each_layer {
    (|$layer:ident, $grpc:ident, $http:ident| $body:block) => {
        for_each_layer!(@ |$layer, $grpc, $http| $body,
            respond(as_is(())) => false, false;
            respond(as_is(())).trust_request_timeout() => false, true;
            respond(as_is(())).trust_request_timeout().render(|_: &Rejected| Response::new("no")) => false, true;
            respond_grpc(as_is(())) => true, false;
            respond_grpc(as_is(())).render(|_: &Rejected| Response::new("no")) => true, false;
            respond_grpc(as_is(())).trust_request_timeout() => true, true;
            RespondLayer::new() => false, false;
            RespondLayer::<Problem>::default() => false, false;
            RespondLayer::new().trust_request_timeout() => false, true;
            RespondLayer::grpc() => true, false;
            RespondLayer::<GrpcStatus>::default() => true, false;
            RespondLayer::grpc().render(|_: &Rejected| Response::new("no")) => true, false;
        );
    };
    (@ |$layer:ident, $grpc:ident, $http:ident| $body:block, $($of:expr => $g:literal, $h:literal;)+) => {
        $({
            let ($layer, $grpc, $http) = ($of, $g, $h);
            $body
        })+
    };
}

#[tokio::test(start_paused = true)]
async fn a_deadline_comes_in_where_it_was_asked_for_and_nowhere_else() {
    for_each_layer!(|layer, grpc, http| {
        let calls = Arc::default();
        let service = serving!(layer, &calls);
        let answer = called(service.clone(), GRPC, None).await;
        assert_eq!(remaining(&answer), TWO.filter(|_| grpc));
        let answer = called(service.clone(), HTTP, None).await;
        assert_eq!(remaining(&answer), TWO.filter(|_| http));
        let answer = called(service.clone(), ("grpc-timeout", "2 s"), None).await;
        assert_eq!(remaining(&answer), None);
        let answer = called(service.clone(), ("x-request-timeout", "2 s"), None).await;
        assert_eq!(remaining(&answer), None);
        assert_eq!(calls.load(Ordering::Relaxed), 4);
    });
}

#[tokio::test(start_paused = true)]
async fn it_only_ever_shortens() {
    let service = serving!(respond_grpc(as_is(())), &Arc::default());
    let answer = called(service.clone(), GRPC, Some(EARLY)).await;
    assert_eq!(remaining(&answer), Some(EARLY));
    let answer = called(service, GRPC, Some(EARLY * 100)).await;
    assert_eq!(remaining(&answer), TWO);

    let both = Request::builder()
        .header("grpc-timeout", "3S")
        .header("x-request-timeout", "2000");
    let service = serving!(
        respond_grpc(as_is(())).trust_request_timeout(),
        &Arc::default()
    );
    let answer = service.oneshot(both.body(()).unwrap()).await.unwrap();
    assert_eq!(remaining(&answer), TWO);
}

#[tokio::test]
async fn a_request_whose_caller_has_gone_is_refused_before_any_work() {
    let calls = Arc::default();
    let service = serving!(respond_grpc(as_is(())), &calls);
    let answer = called(service, ("grpc-timeout", "0m"), None).await;
    let code = Code::in_headers(answer.headers());
    assert_eq!(code, Some(Code::DeadlineExceeded));
    let rejected = answer.extensions().get::<Rejected>().unwrap();
    assert_eq!(rejected.reason(), Reason::DeadlineExceeded);
    assert_eq!(rejected.component(), NAME);

    let service = serving!(respond(as_is(())).trust_request_timeout(), &calls);
    let answer = called(service, ("x-request-timeout", "0"), None).await;
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(calls.load(Ordering::Relaxed), 0);

    let service = serving!(respond(as_is(())), &calls);
    let answer = called(service, ("x-request-timeout", "0"), None).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_service_that_refused_one_request_goes_on() {
    let calls = Arc::default();
    let mut service = serving!(RespondLayer::grpc(), &calls);
    for (timeout, called) in [("0S", 0), ("1S", 1), ("0S", 1), ("1S", 2)] {
        let request = Request::builder().header("grpc-timeout", timeout);
        let ready = service.ready().await.unwrap();
        ready.call(request.body(()).unwrap()).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), called);
    }
}
