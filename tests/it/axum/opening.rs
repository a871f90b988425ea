//! A breaker before handlers that answer 500, though their error is `Infallible`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use buttress_circuit_breaker::{CircuitBreaker, State as BreakerState};
use buttress_core::WidenLayer;
use buttress_http::{HttpExt, RespondLayer, respond};
use tower::ServiceBuilder;

use super::{breaker, two_slots};
use crate::support::{ask, eventually, serve, serve_made};

/// Handlers that answer 500 until they are repaired.
#[derive(Clone, Default)]
struct Handlers(Arc<HandlersState>);

#[derive(Default)]
struct HandlersState {
    calls: AtomicUsize,
    repaired: AtomicBool,
}

impl Handlers {
    async fn answer(State(Self(handlers)): State<Self>) -> StatusCode {
        handlers.calls.fetch_add(1, SeqCst);
        if handlers.repaired.load(SeqCst) {
            StatusCode::OK
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }

    fn calls(&self) -> usize {
        self.0.calls.load(SeqCst)
    }

    fn routes(&self) -> Router {
        Router::new()
            .route("/left", get(Self::answer))
            .route("/right", get(Self::answer))
            .with_state(self.clone())
    }
}

/// Five answers of 500, over five connections and two routes, open the one breaker behind them.
async fn five_errors_open(handlers: &Handlers, breaker: &CircuitBreaker, address: SocketAddr) {
    for (calls, path) in (1..=5).zip(["/left", "/right"].into_iter().cycle()) {
        assert_eq!(breaker.snapshot().state, BreakerState::Closed);
        assert_eq!(ask(address, "GET", path).await.status(), 500);
        assert_eq!(handlers.calls(), calls);
    }
    assert_eq!(breaker.snapshot().state, BreakerState::Open);
}

/// While it is open no handler is called, and each refusal says how much of the open time is left.
async fn refusals_tell_the_time_left(breaker: &CircuitBreaker, address: SocketAddr) {
    let left = || breaker.snapshot().open_for.expect("it is open");
    for path in ["/left", "/right", "/left"] {
        let before = left();
        let answer = ask(address, "GET", path).await;
        let after = left();
        assert_eq!(answer.status(), 503);
        let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(problem["reason"], "unavailable");
        let told = u128::from(problem["retry_after_ms"].as_u64().unwrap());
        let millis = |left: Duration| left.as_nanos().div_ceil(1_000_000);
        assert!(
            (millis(after)..=millis(before)).contains(&told),
            "{told} ms"
        );
        let seconds = u64::try_from(told.div_ceil(1000)).unwrap();
        assert_eq!(
            answer.headers()["retry-after"],
            seconds.to_string().as_str()
        );
    }
}

// proves: CB-9
#[tokio::test]
async fn a_handler_that_answers_500_opens_the_breaker_and_is_left_alone() {
    let (handlers, breaker) = (Handlers::default(), breaker());
    let layers = respond((two_slots().refusing_layer(), breaker.layer()));
    let address = serve(handlers.routes().layer(layers)).await;
    five_errors_open(&handlers, &breaker, address).await;
    refusals_tell_the_time_left(&breaker, address).await;
    assert_eq!(handlers.calls(), 5);
    assert_eq!(breaker.snapshot().refused_count, 3);
}

// proves: CB-9
#[tokio::test]
async fn a_flat_stack_of_layers_opens_as_respond_does() {
    let (handlers, breaker) = (Handlers::default(), breaker());
    let layers = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .layer(two_slots().refusing_layer().http())
        .layer(breaker.layer().http())
        .layer(WidenLayer);
    let address = serve_made(handlers.routes().layer(layers)).await;
    five_errors_open(&handlers, &breaker, address).await;
    refusals_tell_the_time_left(&breaker, address).await;
    assert_eq!(handlers.calls(), 5);
}

#[tokio::test]
async fn a_breaker_over_repaired_handlers_closes_after_three_probes() {
    let open_for = Duration::from_millis(20);
    let handlers = Handlers::default();
    let breaker = CircuitBreaker::builder("handlers")
        .open_for(open_for)
        .build();
    let address = serve(handlers.routes().layer(respond(breaker.layer()))).await;
    five_errors_open(&handlers, &breaker, address).await;
    handlers.0.repaired.store(true, SeqCst);
    eventually(|| breaker.snapshot().open_for, Some(Duration::ZERO)).await;
    for state in [
        BreakerState::HalfOpen,
        BreakerState::HalfOpen,
        BreakerState::Closed,
    ] {
        assert_eq!(ask(address, "GET", "/left").await.status(), 200);
        assert_eq!(breaker.snapshot().state, state);
    }
    assert_eq!(handlers.calls(), 8);
}
