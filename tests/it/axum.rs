//! axum over real sockets: what its users write, and what their clients see.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::{CircuitBreaker, State as BreakerState};
use buttress_core::WidenLayer;
use buttress_http::{HttpExt, RespondLayer, respond, status, whole_seconds};
use bytes::Bytes;
use http::Response;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceBuilder;

use crate::support::{Connection, ask, eventually, serve, serve_made, soon};

// === The bulkhead ===

/// Where the handlers wait until the test lets them go on.
#[derive(Clone)]
struct Room(Arc<RoomState>);

struct RoomState {
    inside: AtomicUsize,
    peak: AtomicUsize,
    visits: AtomicUsize,
    door: Semaphore,
}

impl Room {
    fn new() -> Self {
        Self(Arc::new(RoomState {
            inside: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            visits: AtomicUsize::new(0),
            door: Semaphore::new(0),
        }))
    }

    async fn visit(State(Self(room)): State<Self>) -> &'static str {
        room.visits.fetch_add(1, SeqCst);
        let inside = room.inside.fetch_add(1, SeqCst) + 1;
        room.peak.fetch_max(inside, SeqCst);
        drop(room.door.acquire().await);
        room.inside.fetch_sub(1, SeqCst);
        "done"
    }

    fn open(&self) {
        self.0.door.close();
    }

    fn inside(&self) -> usize {
        self.0.inside.load(SeqCst)
    }

    fn routes(&self) -> Router {
        Router::new()
            .route("/left", get(Self::visit))
            .route("/right", get(Self::visit))
            .with_state(self.clone())
    }
}

fn two_slots() -> Bulkhead {
    Bulkhead::builder("room").max_concurrent(2).build()
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("handlers").jitter(0.0).build()
}

/// Sends 30 requests at once, each on a connection of its own, half of them to each route.
async fn thirty_at_once(address: SocketAddr) -> JoinSet<Response<Bytes>> {
    let mut connections = Vec::new();
    for _ in 0..30 {
        connections.push(Connection::open(address).await);
    }
    let mut answers = JoinSet::new();
    for (connection, path) in connections.into_iter().zip(["/left", "/right"].repeat(15)) {
        answers.spawn(connection.ask("GET", path));
    }
    answers
}

async fn next(answers: &mut JoinSet<Response<Bytes>>) -> Response<Bytes> {
    let answer = soon("an answer to one of the thirty", answers.join_next()).await;
    answer.expect("an answer is left").unwrap()
}

/// A refusal as RFC 9457 and RFC 9110 have it: two calls are inside, and nobody knows for how long.
fn assert_overloaded(answer: &Response<Bytes>) {
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers()["retry-after"], "1");
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let expected = serde_json::json!({
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "reason": "overloaded",
        "retry_after_ms": 1000,
    });
    assert_eq!(problem, expected);
}

/// Two of thirty get in, the others are told to come back, and the slots are free again afterwards.
async fn two_of_thirty_get_in(room: &Room, bulkhead: &Bulkhead, address: SocketAddr) {
    let mut answers = thirty_at_once(address).await;
    for _ in 0..28 {
        assert_overloaded(&next(&mut answers).await);
    }
    // Whoever got in may not have reached the handler yet.
    eventually(|| room.inside(), 2).await;
    assert_eq!(bulkhead.snapshot().active_calls, 2);
    room.open();
    for _ in 0..2 {
        let answer = next(&mut answers).await;
        assert_eq!(
            (answer.status(), &answer.body()[..]),
            (StatusCode::OK, &b"done"[..])
        );
    }
    assert!(answers.is_empty());
    assert_eq!(room.0.peak.load(SeqCst), 2);
    assert_eq!(room.0.visits.load(SeqCst), 2);
    eventually(|| bulkhead.snapshot().active_calls, 0).await;
    assert_eq!(bulkhead.snapshot().rejected_calls, 28);
    assert_eq!(ask(address, "GET", "/right").await.status(), 200);
}

// proves: A-2, PB-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_two_is_two_over_thirty_connections_and_two_routes() {
    let (room, bulkhead) = (Room::new(), two_slots());
    let layers = respond((bulkhead.refusing_layer(), breaker().layer()));
    let address = serve(room.routes().layer(layers)).await;
    two_of_thirty_get_in(&room, &bulkhead, address).await;
}

// proves: A-2, PB-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_two_is_two_when_each_connection_has_a_service_made_for_it() {
    let (room, bulkhead) = (Room::new(), two_slots());
    let layers = respond((bulkhead.refusing_layer(), breaker().layer()));
    let address = serve_made(room.routes().layer(layers)).await;
    two_of_thirty_get_in(&room, &bulkhead, address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flat_stack_of_layers_limits_as_respond_does() {
    let (room, bulkhead) = (Room::new(), two_slots());
    let layers = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .layer(bulkhead.refusing_layer().http())
        .layer(breaker().layer().http())
        .layer(WidenLayer);
    let address = serve(room.routes().layer(layers)).await;
    two_of_thirty_get_in(&room, &bulkhead, address).await;
}

// === The breaker ===

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

// === The answer ===

#[tokio::test]
async fn an_answer_in_a_format_of_ones_own_reaches_the_client() {
    let bulkhead = two_slots();
    let wait = Duration::from_millis(2500);
    let closed = Bulkhead::builder("closed").retry_after(wait).build();
    closed.close();
    let layers = respond((bulkhead.refusing_layer(), closed.refusing_layer()));
    let layers = layers.render(|rejected| {
        let seconds = rejected.retry_after().map_or(0, whole_seconds);
        let text = format!(
            "{} is {}: {seconds} s",
            rejected.component(),
            rejected.reason()
        );
        let mut response = Response::new(text);
        *response.status_mut() = status(rejected.reason());
        response
    });
    let address = serve(Handlers::default().routes().layer(layers)).await;
    let answer = ask(address, "GET", "/left").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body(), "closed is unavailable: 3 s");
    assert!(!answer.headers().contains_key("retry-after"));
}

/// What answers 503: a handler, or a full bulkhead.
async fn busy() -> impl IntoResponse {
    StatusCode::SERVICE_UNAVAILABLE
}

// An answer of 503 counts against who gave it, a refusal of ours does not, though the client sees no difference.
#[tokio::test]
async fn an_inner_refusal_that_was_answered_does_not_open_an_outer_breaker() {
    let bulkhead = two_slots();
    let refused = CircuitBreaker::builder("outer")
        .consecutive_failures(1)
        .build();
    let failing = CircuitBreaker::builder("control")
        .consecutive_failures(1)
        .build();
    let inner = respond(bulkhead.refusing_layer());
    let app = Router::new()
        .route("/refused", get(|| async { "hello" }))
        .layer(inner)
        .layer(respond(refused.layer()))
        .merge(
            Router::new()
                .route("/failing", get(busy))
                .layer(respond(failing.layer())),
        );
    let address = serve(app).await;

    let _inside = [
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire().unwrap(),
    ];
    for _ in 0..3 {
        assert_overloaded(&ask(address, "GET", "/refused").await);
    }
    let snapshot = refused.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.neutral_count),
        (BreakerState::Closed, 3)
    );

    assert_eq!(ask(address, "GET", "/failing").await.status(), 503);
    assert_eq!(failing.snapshot().state, BreakerState::Open);
}

/// The stack that axum takes has the error type that axum wants: none.
#[tokio::test]
async fn the_error_of_the_stack_is_still_infallible() {
    use tower::{Layer, ServiceExt};

    let layers = respond((two_slots().refusing_layer(), breaker().layer()));
    let service = layers.layer(Handlers::default().routes());
    let answer: Result<_, Infallible> = service
        .oneshot(http::Request::new(axum::body::Body::empty()))
        .await;
    assert_eq!(answer.unwrap().status(), 404);
}
