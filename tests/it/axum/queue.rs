//! A bulkhead that lets requests wait, before handlers that wait: who gets in, in which order, and what the others are told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use buttress_bulkhead::Bulkhead;
use buttress_core::{Deadline, Priority, WidenLayer};
use buttress_http::{HttpExt, RespondLayer, respond};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder};

use super::breaker;
use crate::support::{Connection, ask, bodies, eventually, serve, serve_made, soon};

/// Where handlers wait until the test lets them go on, and who came.
#[derive(Clone, Default)]
struct Room(Arc<RoomState>);

#[derive(Default)]
struct RoomState {
    came: Mutex<Vec<String>>,
    inside: Mutex<(usize, usize)>,
    door: Door,
}

struct Door(Semaphore);

impl Default for Door {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Room {
    async fn visit(State(Self(room)): State<Self>, Path(who): Path<String>) -> &'static str {
        room.came.lock().unwrap().push(who);
        {
            let (inside, peak) = &mut *room.inside.lock().unwrap();
            *inside += 1;
            *peak = (*peak).max(*inside);
        }
        room.door.0.acquire().await.unwrap().forget();
        room.inside.lock().unwrap().0 -= 1;
        "done"
    }

    fn routes(&self) -> Router {
        let visit = || get(Self::visit);
        Router::new()
            .route("/left/{who}", visit())
            .route("/right/{who}", visit())
            .with_state(self.clone())
    }

    /// Lets so many visitors go on.
    fn let_out(&self, visitors: usize) {
        self.0.door.0.add_permits(visitors);
    }

    fn came(&self) -> Vec<String> {
        self.0.came.lock().unwrap().clone()
    }

    fn peak(&self) -> usize {
        self.0.inside.lock().unwrap().1
    }
}

/// Asks on a connection and a task of its own.
async fn asked(address: SocketAddr, path: &str) -> JoinHandle<Response<Bytes>> {
    let (connection, path) = (Connection::open(address).await, path.to_owned());
    tokio::spawn(async move { connection.ask("GET", &path).await })
}

fn bulkhead(slots: u32, queue: u32) -> Bulkhead {
    let builder = Bulkhead::builder("room").max_concurrent(slots);
    builder.queue(queue).build()
}

async fn waiting(bulkhead: &Bulkhead, calls: u32) {
    eventually(|| bulkhead.snapshot().queued_calls, calls).await;
}

// === Many connections, one queue ===

/// Two of thirty are inside at a time, over thirty connections and two routes, and all are answered in the end.
async fn all_of_thirty_get_in(room: &Room, bulkhead: &Bulkhead, address: SocketAddr) {
    let paths = (0..30).map(|n| format!("/{}/{n}", ["left", "right"][n % 2]));
    let answers = paths.map(async |path| asked(address, &path).await.await.unwrap());
    let answers = join_all(answers);
    let letting_out = async {
        waiting(bulkhead, 28).await;
        assert_eq!(room.peak(), 2);
        room.let_out(30);
    };
    let (answers, ()) = tokio::join!(soon("all answers", answers), letting_out);
    for answer in answers {
        assert_eq!(
            (answer.status().as_u16(), &answer.body()[..]),
            (200, &b"done"[..])
        );
    }
    assert_eq!((room.came().len(), room.peak()), (30, 2));
    eventually(|| bulkhead.snapshot().active_calls, 0).await;
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.queued_calls, snapshot.rejected_calls), (0, 0));
    assert_eq!((snapshot.waits.count(), snapshot.success_count), (28, 30));
}

// proves: A-2, PB-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_connections_share_one_queue() {
    let (room, bulkhead) = (Room::default(), bulkhead(2, 28));
    let layers = respond((bulkhead.layer(), breaker().layer()));
    let address = serve(room.routes().layer(layers)).await;
    all_of_thirty_get_in(&room, &bulkhead, address).await;
}

// proves: A-2, PB-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_connections_share_one_queue_when_each_has_a_service_made_for_it() {
    let (room, bulkhead) = (Room::default(), bulkhead(2, 28));
    let layers = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .layer(bulkhead.layer().http())
        .layer(breaker().layer().http())
        .layer(WidenLayer);
    let address = serve_made(room.routes().layer(layers)).await;
    all_of_thirty_get_in(&room, &bulkhead, address).await;
}

// proves: PB-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_finds_no_place_in_the_queue_is_told_to_come_back() {
    let (room, bulkhead) = (Room::default(), bulkhead(2, 5));
    let address = serve(room.routes().layer(respond(bulkhead.layer()))).await;
    let mut answers = Vec::new();
    for n in 0..30 {
        answers.push(asked(address, &format!("/left/{n}")).await);
    }
    eventually(|| bulkhead.snapshot().rejected_calls, 23).await;
    assert_eq!(bulkhead.snapshot().queued_calls, 5);
    room.let_out(7);
    let mut served = 0;
    for answer in answers {
        let answer = soon("an answer", answer).await.unwrap();
        if answer.status() == 200 {
            served += 1;
        } else {
            super::assert_overloaded(&answer);
        }
    }
    assert_eq!((served, room.came().len(), room.peak()), (7, 7, 2));
}

// === Who goes first ===

/// The application knows from the path how much a request matters, and for how long somebody waits for the answer.
fn with_context(mut request: Request<axum::body::Body>) -> Request<axum::body::Body> {
    let path = request.uri().path().to_owned();
    let named = |class: &Priority| path.ends_with(class.as_str());
    if let Some(class) = Priority::ALL.into_iter().find(named) {
        request.extensions_mut().insert(class);
    }
    if path.ends_with("hasty") {
        let deadline = Deadline::after(Instant::now(), Duration::from_millis(20));
        request.extensions_mut().insert(deadline);
    }
    request
}

fn known(room: &Room, bulkhead: &Bulkhead) -> Router {
    let layers = ServiceBuilder::new()
        .map_request(with_context)
        .layer(respond((bulkhead.layer(),)));
    room.routes().layer(layers)
}

// proves: PB-3, PB-4
#[tokio::test]
async fn the_class_in_the_extensions_says_who_goes_first() {
    let (room, bulkhead) = (Room::default(), bulkhead(1, 10));
    let address = serve(known(&room, &bulkhead)).await;
    let mut answers = vec![asked(address, "/left/first").await];
    eventually(|| room.came().len(), 1).await;
    let waiting_ones = [
        "background",
        "low",
        "somebody",
        "normal",
        "high",
        "critical",
    ];
    for (before, who) in (1..).zip(waiting_ones) {
        answers.push(asked(address, &format!("/left/{who}")).await);
        waiting(&bulkhead, before).await;
    }
    room.let_out(answers.len());
    for answer in answers {
        assert_eq!(soon("an answer", answer).await.unwrap().status(), 200);
    }
    let order = [
        "first",
        "critical",
        "high",
        "somebody",
        "normal",
        "low",
        "background",
    ];
    assert_eq!(room.came(), order);
}

// proves: PB-7
#[tokio::test]
async fn the_newest_of_the_lowest_class_makes_room_and_is_told_so() {
    let (room, bulkhead) = (Room::default(), bulkhead(1, 2));
    let address = serve(known(&room, &bulkhead)).await;
    let inside = asked(address, "/left/first").await;
    eventually(|| room.came().len(), 1).await;
    let low = asked(address, "/left/low").await;
    waiting(&bulkhead, 1).await;
    let background = asked(address, "/left/background").await;
    waiting(&bulkhead, 2).await;
    let critical = asked(address, "/left/critical").await;
    super::assert_overloaded(&soon("the refusal", background).await.unwrap());
    room.let_out(3);
    for answer in [inside, critical, low] {
        assert_eq!(soon("an answer", answer).await.unwrap().status(), 200);
    }
    assert_eq!(room.came(), ["first", "critical", "low"]);
}

// === Waits that end ===

#[track_caller]
fn assert_problem(answer: &Response<Bytes>, status: u16, reason: &str) {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(problem["reason"], reason);
    assert_eq!(problem["status"], status);
}

// proves: PB-2, PB-9
#[tokio::test]
async fn a_wait_that_ends_in_vain_is_answered_503_by_the_longest_wait_and_504_by_the_deadline() {
    let (room, bulkhead) = (Room::default(), bulkhead(1, 10));
    let address = serve(known(&room, &bulkhead)).await;
    let inside = asked(address, "/left/first").await;
    eventually(|| room.came().len(), 1).await;
    let hasty = soon("the deadline", ask(address, "GET", "/left/hasty")).await;
    assert_problem(&hasty, 504, "deadline-exceeded");
    bulkhead.set_max_wait(Duration::from_millis(20));
    let patient = soon("the longest wait", ask(address, "GET", "/left/patient")).await;
    assert_problem(&patient, 503, "overloaded");
    assert_eq!(patient.headers()["retry-after"], "1");
    assert_eq!(room.came(), ["first"]);
    room.let_out(1);
    assert_eq!(soon("an answer", inside).await.unwrap().status(), 200);
}

// proves: A-18
#[tokio::test]
async fn a_closed_bulkhead_refuses_the_requests_that_wait() {
    let (room, bulkhead) = (Room::default(), bulkhead(1, 10));
    let address = serve(known(&room, &bulkhead)).await;
    let inside = asked(address, "/left/first").await;
    eventually(|| room.came().len(), 1).await;
    let second = asked(address, "/left/second").await;
    waiting(&bulkhead, 1).await;
    bulkhead.close();
    assert_problem(
        &soon("the refusal", second).await.unwrap(),
        503,
        "unavailable",
    );
    room.let_out(1);
    assert_eq!(soon("an answer", inside).await.unwrap().status(), 200);
    soon("the last call", bulkhead.drained()).await;
}

// proves: PB-8, A-1
#[tokio::test]
async fn a_client_that_goes_away_leaves_the_queue() {
    let (room, bulkhead) = (Room::default(), bulkhead(1, 10));
    let address = serve(known(&room, &bulkhead)).await;
    let inside = asked(address, "/left/first").await;
    eventually(|| room.came().len(), 1).await;
    for waits in 1..=3 {
        let leaves = asked(address, "/left/leaves").await;
        waiting(&bulkhead, 1).await;
        leaves.abort();
        waiting(&bulkhead, 0).await;
        assert_eq!(bulkhead.snapshot().rejected_calls, 0, "{waits}");
    }
    let second = asked(address, "/left/second").await;
    waiting(&bulkhead, 1).await;
    room.let_out(2);
    for answer in [inside, second] {
        assert_eq!(soon("an answer", answer).await.unwrap().status(), 200);
    }
    assert_eq!(room.came(), ["first", "second"]);
}

// === When a slot is free ===

/// The answers never end; with `until_headers` the next gets in at the head of the one before, else at its end.
// proves: A-2
#[tokio::test]
async fn a_request_waits_for_the_end_of_the_body_before_it_or_for_its_head() {
    let bulkhead = bulkhead(1, 10);
    let until_the_end = bodies().layer(respond((bulkhead.layer(),)));
    let address = serve(until_the_end).await;
    let mut first = Connection::open(address).await;
    let mut stream = first.send("GET", "/200/endless").await.into_body();
    soon("a frame", stream.frame()).await.unwrap().unwrap();
    let second = asked(address, "/200/empty").await;
    waiting(&bulkhead, 1).await;
    assert_eq!(bulkhead.snapshot().active_calls, 1);
    drop((stream, first));
    assert_eq!(soon("the second", second).await.unwrap().status(), 200);

    let until_headers = respond((bulkhead.layer().http().until_headers(),)).layer(bodies());
    let address = serve(Router::new().fallback_service(until_headers)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(address).await;
        let stream = connection.send("GET", "/200/endless").await;
        streams.push((connection, stream));
    }
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}
