//! Answers that go on for as long as somebody listens: events, and connections that become something else.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::{any, get};
use buttress_http::{HttpExt, respond};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast;

use crate::support::{Connection, Counts, Guards, ask, eventually, serve, soon};

// === Server-sent events ===

/// Tells every listener what is sent, until the sender is gone.
fn news() -> (broadcast::Sender<&'static str>, Router) {
    let (sender, _) = broadcast::channel(8);
    let weak = sender.downgrade();
    let listen = move || {
        let listener = weak.upgrade().expect("the news go on").subscribe();
        let events = stream::unfold(listener, |mut listener| async {
            let text = listener.recv().await.ok()?;
            Some((Ok::<_, Infallible>(Event::default().data(text)), listener))
        });
        std::future::ready(Sse::new(events))
    };
    (sender, Router::new().route("/news", get(listen)))
}

async fn assert_next_event(body: &mut Incoming, text: &str) {
    let frame = soon("an event", body.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), format!("data: {text}\n\n"));
}

/// Opens the stream and hears one event.
async fn listen(
    address: SocketAddr,
    news: &broadcast::Sender<&'static str>,
) -> (Connection, Incoming) {
    let mut connection = Connection::open(address).await;
    let mut body = connection.send("GET", "/news").await.into_body();
    news.send("hello").unwrap();
    assert_next_event(&mut body, "hello").await;
    (connection, body)
}

// proves: A-2
#[tokio::test]
async fn an_event_stream_holds_its_slot_until_it_ends() {
    let guards = Guards::new(1);
    let (news, app) = news();
    let address = serve(app.layer(respond(guards.layers()))).await;
    let (_connection, mut body) = listen(address, &news).await;
    assert_eq!(guards.active(), 1);
    assert_eq!(ask(address, "GET", "/news").await.status(), 503);
    news.send("still here").unwrap();
    assert_next_event(&mut body, "still here").await;
    assert_eq!((guards.active(), guards.counts().success), (1, 0));
    drop(news);
    assert!(soon("the end", body.frame()).await.is_none());
    assert_eq!(guards.next_ending(Counts::default()).await.success, 1);
}

#[tokio::test]
async fn an_event_stream_until_headers_holds_nothing() {
    let guards = Guards::new(1);
    let (news, app) = news();
    let address = serve(app.layer(respond(guards.layers().until_headers()))).await;
    let (_first, mut body) = listen(address, &news).await;
    assert_eq!((guards.active(), guards.counts()), (0, Counts::SUCCESS));
    let (_second, _) = listen(address, &news).await;
    assert_next_event(&mut body, "hello").await;
    assert_eq!((guards.active(), guards.counts()), (0, Counts::of(2, 0, 0)));
}

// proves: A-1
#[tokio::test]
async fn a_listener_that_leaves_frees_its_slot() {
    let guards = Guards::new(1);
    let (news, app) = news();
    let address = serve(app.layer(respond(guards.layers()))).await;
    let (connection, body) = listen(address, &news).await;
    drop((connection, body));
    assert_eq!(guards.next_ending(Counts::default()).await, Counts::NEUTRAL);
}

// === Upgrades ===

/// Turns the connection into an echo, by `Upgrade` or by `CONNECT`.
async fn tunnel(request: Request<axum::body::Body>) -> Response<axum::body::Body> {
    let connect = request.method() == "CONNECT";
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        tokio::io::copy(&mut reader, &mut writer).await
    });
    let response = Response::builder();
    let response = if connect {
        response.status(StatusCode::OK)
    } else {
        let upgrading = response.status(StatusCode::SWITCHING_PROTOCOLS);
        upgrading
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "echo")
    };
    response.body(axum::body::Body::empty()).unwrap()
}

fn upgrade(address: SocketAddr) -> Request<Empty<Bytes>> {
    let request = Request::builder()
        .uri("/")
        .header("host", address.to_string());
    let request = request
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "echo");
    request.body(Empty::new()).unwrap()
}

fn connect(address: SocketAddr) -> Request<Empty<Bytes>> {
    let request = Request::builder().method("CONNECT").uri("/");
    let request = request.header("host", address.to_string());
    request.body(Empty::new()).unwrap()
}

#[tokio::test]
async fn a_connection_that_became_something_else_holds_no_slot() {
    let guards = Guards::new(1);
    let app = Router::new().fallback(any(tunnel));
    let address = serve(app.layer(respond(guards.layers()))).await;
    for (request, status, calls) in [(upgrade(address), 101, 1), (connect(address), 200, 2)] {
        let mut connection = Connection::open(address).await;
        let answer = connection.pass(request).await;
        assert_eq!(answer.status(), status);
        let upgraded = soon("the upgrade", hyper::upgrade::on(answer))
            .await
            .unwrap();
        let mut tunnel = TokioIo::new(upgraded);
        let mut echo = [0; 4];
        tunnel.write_all(b"ping").await.unwrap();
        soon("the echo", tunnel.read_exact(&mut echo))
            .await
            .unwrap();
        assert_eq!(&echo, b"ping");
        eventually(|| guards.active(), 0).await;
        assert_eq!(guards.counts(), Counts::of(calls, 0, 0));
    }
}
