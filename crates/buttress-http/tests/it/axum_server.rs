//! axum, as its users start it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;
use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::Reason;
use buttress_http::{HttpExt, respond};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use crate::support::{FAILURE, SUCCESS, recorder, refuser, spawn};

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move { axum::serve(listener, app).await });
    address
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> http::Response<Bytes> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    let response = client
        .request(request.body(Empty::new()).unwrap())
        .await
        .unwrap();
    let (head, body) = response.into_parts();
    http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/broken",
            get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .route(
            "/stream",
            get(|| async { Body::from_stream(futures_util::stream::iter(chunks())) }),
        )
}

fn chunks() -> [Result<&'static str, axum::Error>; 2] {
    [Ok("one "), Ok("two")]
}

#[tokio::test]
async fn a_handler_that_answers_500_is_a_failure_though_its_error_is_infallible() {
    let (layer, mut ledger) = recorder();
    let address = serve(routes().layer(respond(layer))).await;
    assert_eq!(ask(address, "GET", "/").await.status(), 200);
    assert_eq!(ledger.next().await, SUCCESS);
    assert_eq!(ask(address, "GET", "/broken").await.status(), 500);
    assert_eq!(ledger.next().await, FAILURE);
    assert_eq!(ask(address, "GET", "/stream").await.body(), "one two");
    assert_eq!(ledger.next().await, SUCCESS);
    assert_eq!(
        ask(address, "HEAD", "/").await.headers()["content-length"],
        "5"
    );
    assert_eq!(ledger.next().await, SUCCESS);
}

#[tokio::test]
async fn a_refusal_reaches_the_client_as_a_problem() {
    let layer = refuser(Reason::Overloaded, Some(Duration::from_millis(1)));
    let address = serve(routes().layer(respond((layer,)))).await;
    let answer = ask(address, "GET", "/").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let length = answer.body().len().to_string();
    assert_eq!(answer.headers()["content-length"], length.as_str());

    let head = ask(address, "HEAD", "/").await;
    assert_eq!(head.status(), 503);
    assert_eq!(head.headers()["content-length"], length.as_str());
    assert!(head.body().is_empty());
}

#[tokio::test]
async fn layers_nest_in_any_number_and_each_sees_its_own_end() {
    let (outer, mut outer_ledger) = recorder();
    let (inner, mut inner_ledger) = recorder();
    let layers = respond((outer.until_headers(), inner));
    let address = serve(routes().layer(layers)).await;
    assert_eq!(ask(address, "GET", "/stream").await.body(), "one two");
    assert_eq!(outer_ledger.next().await, SUCCESS);
    assert_eq!(inner_ledger.next().await, SUCCESS);
}

#[tokio::test]
async fn a_refusal_inside_is_no_failure_outside_even_when_it_has_been_rendered() {
    let (outer, mut ledger) = recorder();
    let inner = respond(refuser(Reason::Overloaded, None));
    let address = serve(routes().layer(inner).layer(respond(outer))).await;
    assert_eq!(ask(address, "GET", "/").await.status(), 503);
    assert_eq!(
        ledger.next().await,
        crate::support::Ending::Settled(buttress_core::Verdict::Neutral)
    );
}

#[tokio::test]
async fn answers_of_500_open_a_breaker_and_the_layer_that_refuses_is_the_one_that_answers() {
    let bulkhead = Bulkhead::builder("front").max_concurrent(1).build();
    let breaker = CircuitBreaker::builder("orders").build();
    let layers = respond((bulkhead.refusing_layer(), breaker.layer()));
    let address = serve(routes().layer(layers)).await;
    for _ in 0..5 {
        assert_eq!(ask(address, "GET", "/broken").await.status(), 500);
    }
    let refused = ask(address, "GET", "/").await;
    assert_eq!(refused.status(), 503);
    assert!(refused.body().ends_with(b"}"), "a problem");
    assert_eq!(breaker.snapshot().refused_count, 1);
    assert_eq!(bulkhead.snapshot().active_calls, 0);

    let held = bulkhead.try_acquire().unwrap();
    let body = ask(address, "GET", "/").await.into_body();
    assert!(
        String::from_utf8_lossy(&body).contains(r#""reason":"overloaded""#),
        "{body:?}"
    );
    drop(held);
}
