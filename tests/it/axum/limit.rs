//! A bulkhead before handlers that wait: how many get in, and what the others are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use buttress_bulkhead::Bulkhead;
use buttress_core::WidenLayer;
use buttress_http::{HttpExt, RespondLayer, respond};
use bytes::Bytes;
use http::Response;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceBuilder;

use super::{assert_overloaded, breaker, two_slots};
use crate::support::{Connection, ask, eventually, serve, serve_made, soon};

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
