//! What a refusal looks like from outside, and to the layers of the same process.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;
use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::{CircuitBreaker, State};
use buttress_http::{respond, status, whole_seconds};
use http::{Request, Response};
use tower::{Layer, ServiceExt};

use super::{assert_overloaded, breaker, two_slots};
use crate::support::{ask, serve};

fn hello() -> Router {
    Router::new().route("/hello", get(|| async { "hello" }))
}

#[tokio::test]
async fn a_format_of_ones_own_reaches_the_client() {
    let wait = Duration::from_millis(2500);
    let closed = Bulkhead::builder("closed").retry_after(wait).build();
    closed.close();
    let layers = respond((two_slots().refusing_layer(), closed.refusing_layer()));
    let layers = layers.render(|rejected| {
        let seconds = rejected.retry_after().map_or(0, whole_seconds);
        let (who, why) = (rejected.component(), rejected.reason());
        let mut response = Response::new(format!("{who} is {why}: {seconds} s"));
        *response.status_mut() = status(why);
        response
    });
    let answer = ask(serve(hello().layer(layers)).await, "GET", "/hello").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body(), "closed is unavailable: 3 s");
    assert!(!answer.headers().contains_key("retry-after"));
}

/// The client sees no difference between the two; the breaker does.
#[tokio::test]
async fn an_inner_refusal_does_not_open_an_outer_breaker_and_a_handlers_503_does() {
    let bulkhead = two_slots();
    let breaker = CircuitBreaker::builder("outer").consecutive_failures(1);
    let breaker = breaker.build();
    let busy = get(|| async { StatusCode::SERVICE_UNAVAILABLE });
    let app = hello()
        .layer(respond(bulkhead.refusing_layer()))
        .route("/busy", busy)
        .layer(respond(breaker.layer()));
    let address = serve(app).await;

    let _inside = (
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire().unwrap(),
    );
    for refusals in 1..=3 {
        assert_overloaded(&ask(address, "GET", "/hello").await);
        let snapshot = breaker.snapshot();
        assert_eq!(
            (snapshot.state, snapshot.neutral_count),
            (State::Closed, refusals)
        );
    }
    assert_eq!(ask(address, "GET", "/busy").await.status(), 503);
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test]
async fn the_error_of_the_stack_is_the_one_that_axum_wants() {
    let layers = respond((two_slots().refusing_layer(), breaker().layer()));
    let call = layers.layer(hello()).oneshot(Request::new(Body::empty()));
    let answer: Result<_, Infallible> = call.await;
    assert_eq!(answer.unwrap().status(), 404);
}
