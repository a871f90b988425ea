//! The clients that people use, with the bodies that they have.

use axum::body::Body as AxumBody;
use buttress::core::WidenLayer;
use buttress_http::{HttpExt, ReqwestService, SendAsLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tonic::body::Body as TonicBody;
use tonic::transport::{Channel, Server};
use tonic_health::pb::health_client::HealthClient;
use tower::{Service, ServiceBuilder, ServiceExt};

use super::{flaky, quick};
use crate::tonic::health::{Scripted, channel, ending, serve};

/// Sends a body of this type through a client that fails twice, and says what came back.
async fn send<S, B, R>(client: S, address: std::net::SocketAddr, body: B) -> Bytes
where
    S: Service<Request<B>, Response = Response<R>, Error: std::fmt::Debug>,
    R: Body<Error: std::fmt::Debug>,
{
    let request = Request::put(format!("http://{address}/"))
        .body(body)
        .unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap().to_bytes()
}

const TEXT: &str = "what was sent";

// proves: RB-5
#[tokio::test]
async fn hypers_client_takes_whatever_body_it_is_given() {
    let (seen, address) = flaky(2).await;
    let client = ServiceBuilder::new()
        .layer(quick("hyper").layer().http())
        .layer(WidenLayer)
        .service(Client::builder(TokioExecutor::new()).build_http());
    let answer = send(client, address, Full::<Bytes>::from(TEXT)).await;
    assert_eq!((answer, seen.calls()), (Bytes::from(TEXT), 3));
    assert_eq!(seen.bodies(), [TEXT; 3]);
    let attempts = seen.header("x-buttress-attempt");
    assert_eq!(attempts, [None, Some("1".to_owned()), Some("2".to_owned())]);
}

/// In front of a handler: the body is axum's before and after.
// proves: RB-5
#[tokio::test]
async fn axums_body_stays_axums_body() {
    let (seen, address) = flaky(2).await;
    let inner = Client::builder(TokioExecutor::new()).build_http::<AxumBody>();
    let client = ServiceBuilder::new()
        .layer(quick("axum").layer().http())
        .layer(WidenLayer)
        .layer(SendAsLayer::<AxumBody>::new())
        .service(inner);
    let answer = send(client, address, AxumBody::from(TEXT)).await;
    assert_eq!((answer, seen.bodies().len()), (Bytes::from(TEXT), 3));
    assert_eq!(seen.bodies(), [TEXT; 3]);
}

// proves: RB-5
#[tokio::test]
async fn reqwests_client_is_retried_with_its_own_body() {
    let (seen, address) = flaky(2).await;
    let client = ServiceBuilder::new()
        .layer(quick("reqwest").layer().http())
        .layer(WidenLayer)
        .layer(SendAsLayer::<reqwest::Body>::new())
        .service(ReqwestService::new(reqwest::Client::new()));
    let answer = send(client, address, Full::<Bytes>::from(TEXT)).await;
    assert_eq!((answer, seen.calls()), (Bytes::from(TEXT), 3));
    assert_eq!(seen.bodies(), [TEXT; 3]);
}

/// A client that is not there: reqwest hides hyper's error in its own, and a POST was never sent.
// proves: RB-4
#[tokio::test]
async fn a_post_that_reqwest_could_not_send_is_sent_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let retry = quick("reqwest");
    let client = ServiceBuilder::new()
        .layer(retry.layer().http())
        .layer(WidenLayer)
        .layer(SendAsLayer::<reqwest::Body>::new())
        .service(ReqwestService::new(reqwest::Client::new()));
    let request = Request::post(format!("http://{closed}/")).body(Full::<Bytes>::from(TEXT));
    client.oneshot(request.unwrap()).await.unwrap_err();
    assert_eq!(retry.snapshot().budget.total_retries, 3);
}

/// Its own requests, without HTTP's protocol in between: the user says how they are cloned.
#[tokio::test]
async fn reqwests_own_requests_are_cloned_as_reqwest_does_it() {
    let (seen, address) = flaky(2).await;
    let by_status = buttress::by(
        |result: Result<&reqwest::Response, &buttress::Error<reqwest::Error>>| match result {
            Ok(response) if response.status().is_server_error() => buttress::Verdict::Failure,
            Ok(_) => buttress::Verdict::Success,
            Err(_) => buttress::Verdict::Failure,
        },
    );
    let layer = quick("reqwest")
        .layer()
        .clone_by(reqwest::Request::try_clone);
    let client = ServiceBuilder::new()
        .layer(layer.classify(by_status))
        .layer(WidenLayer)
        .service(reqwest::Client::new());
    let request = reqwest::Client::new().put(format!("http://{address}/"));
    let request = request.body(TEXT).build().unwrap();
    let answer = client.oneshot(request).await.unwrap();
    assert_eq!(answer.bytes().await.unwrap(), TEXT);
    assert_eq!(seen.bodies(), [TEXT; 3]);
}

/// Answers UNAVAILABLE so often before it lets calls through.
fn failing_at_first(
    failures: usize,
) -> impl Fn(tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> + Clone {
    let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(failures));
    move |request| {
        use std::sync::atomic::Ordering::SeqCst;
        match left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(tonic::Status::unavailable("not yet")),
            Err(_) => Ok(request),
        }
    }
}

fn grpc_client(
    retry: &buttress::Retry,
    channel: Channel,
    repeatable: bool,
) -> HealthClient<
    impl tonic::client::GrpcService<
        TonicBody,
        ResponseBody = TonicBody,
        Future: Send,
        Error: std::fmt::Debug,
    > + Clone,
> {
    let layer = retry
        .layer()
        .grpc()
        .repeatable(move |request: &Request<TonicBody>| {
            repeatable && request.uri().path() == "/grpc.health.v1.Health/Check"
        });
    let stack = ServiceBuilder::new()
        .layer(layer)
        .layer(WidenLayer)
        .layer(SendAsLayer::<TonicBody>::new())
        .service(channel);
    HealthClient::new(stack)
}

// proves: RB-4, RB-5
#[tokio::test]
async fn tonics_calls_are_retried_where_the_method_may_be_repeated() {
    for (repeatable, calls) in [(true, 1), (false, 0)] {
        let service = Scripted::default();
        let layer = tonic::service::interceptor::InterceptorLayer::new(failing_at_first(2));
        let router = Server::builder().layer(layer).add_service(service.server());
        let retry = quick("health");
        let mut client = grpc_client(&retry, channel(serve(router).await), repeatable);
        let answer = client.check(ending(tonic::Code::Ok)).await;
        assert_eq!(answer.is_ok(), repeatable, "{answer:?}");
        assert_eq!(service.calls(), calls);
        let retries = retry.snapshot().budget.total_retries;
        assert_eq!(retries, 2 * u64::from(repeatable));
    }
}
