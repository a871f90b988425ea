//! Before a handler, under axum's hyper server.

use std::net::SocketAddr;

use buttress_http::respond;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::support::{Connection, Counts, Guards, bodies, eventually, serve, soon};

async fn guarded() -> (Guards, SocketAddr) {
    let guards = Guards::new(1);
    let address = serve(bodies().layer(respond(guards.layers()))).await;
    (guards, address)
}

#[derive(Clone, Copy, Debug)]
enum Version {
    Http1,
    Http2,
}

impl Version {
    async fn connect(self, address: SocketAddr) -> Connection {
        match self {
            Self::Http1 => Connection::open(address).await,
            Self::Http2 => Connection::open_http2(address).await,
        }
    }
}

/// Reads to the end, or to the error that stands in its place.
async fn read_all(mut body: Incoming) {
    while let Some(Ok(_)) = soon("the next frame", body.frame()).await {}
}

/// What is sent to its end counts as its head says, whichever way hyper is done with the body; what breaks is a failure.
async fn whole_answers_count_as_they_are(version: Version) {
    let (guards, address) = guarded().await;
    for (method, path, ending) in [
        ("GET", "/200/full", Counts::SUCCESS),
        ("GET", "/200/chunked", Counts::SUCCESS),
        ("GET", "/200/counted", Counts::SUCCESS),
        ("GET", "/200/empty", Counts::SUCCESS),
        ("GET", "/204/empty", Counts::SUCCESS),
        ("GET", "/304/chunked", Counts::SUCCESS),
        ("GET", "/404/full", Counts::SUCCESS),
        ("HEAD", "/200/full", Counts::SUCCESS),
        ("HEAD", "/200/chunked", Counts::SUCCESS),
        ("HEAD", "/200/counted", Counts::SUCCESS),
        ("GET", "/500/full", Counts::FAILURE),
        ("GET", "/500/chunked", Counts::FAILURE),
        ("GET", "/500/counted", Counts::FAILURE),
        ("GET", "/500/empty", Counts::FAILURE),
        ("HEAD", "/500/full", Counts::FAILURE),
        ("HEAD", "/500/chunked", Counts::FAILURE),
        ("GET", "/501/full", Counts::NEUTRAL),
        ("GET", "/200/cut", Counts::FAILURE),
        ("GET", "/200/panicking", Counts::FAILURE),
    ] {
        let before = guards.counts();
        // A connection of its own: a broken answer takes it down.
        let mut connection = version.connect(address).await;
        read_all(connection.send(method, path).await.into_body()).await;
        let ended = guards.next_ending(before).await;
        assert_eq!(ended, ending, "{method} {path} over {version:?}");
    }
}

#[tokio::test]
async fn every_whole_answer_counts_as_its_head_says() {
    whole_answers_count_as_they_are(Version::Http1).await;
}

#[tokio::test]
async fn every_whole_answer_counts_as_its_head_says_over_http2() {
    whole_answers_count_as_they_are(Version::Http2).await;
}

/// The client leaves in the middle: nobody knows how it would have ended, unless the head was a failure already.
async fn a_client_that_leaves_frees_its_slot(version: Version) {
    let (guards, address) = guarded().await;
    for (path, ending) in [
        ("/200/endless", Counts::NEUTRAL),
        ("/200/flowing", Counts::NEUTRAL),
        ("/500/endless", Counts::FAILURE),
        ("/500/flowing", Counts::FAILURE),
    ] {
        let before = guards.counts();
        let mut connection = version.connect(address).await;
        let mut body = connection.send("GET", path).await.into_body();
        soon("a frame", body.frame()).await.unwrap().unwrap();
        assert_eq!(guards.active(), 1, "{path} over {version:?}");
        drop((body, connection));
        let ended = guards.next_ending(before).await;
        assert_eq!(ended, ending, "{path} over {version:?}");
    }
}

// proves: A-1
#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_answer_frees_its_slot() {
    a_client_that_leaves_frees_its_slot(Version::Http1).await;
}

// proves: A-1
#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_answer_frees_its_slot_over_http2() {
    a_client_that_leaves_frees_its_slot(Version::Http2).await;
}

// proves: A-1
#[tokio::test]
async fn a_client_that_leaves_before_the_head_frees_its_slot() {
    let (guards, address) = guarded().await;
    for version in [Version::Http1, Version::Http2] {
        let before = guards.counts();
        let mut connection = version.connect(address).await;
        let call = tokio::spawn(async move {
            connection.send("GET", "/200/silent").await;
        });
        eventually(|| guards.active(), 1).await;
        call.abort();
        let ended = guards.next_ending(before).await;
        assert_eq!(ended, Counts::NEUTRAL, "{version:?}");
    }
}

#[tokio::test]
async fn a_slot_is_taken_until_the_last_frame_and_not_longer() {
    let (guards, address) = guarded().await;
    let mut connection = Connection::open(address).await;
    let mut body = connection.send("GET", "/200/endless").await.into_body();
    soon("a frame", body.frame()).await.unwrap().unwrap();
    assert_eq!(
        Connection::open(address)
            .await
            .ask("GET", "/200/full")
            .await
            .status(),
        503
    );
    drop((body, connection));
    eventually(|| guards.active(), 0).await;
    assert_eq!(
        Connection::open(address)
            .await
            .ask("GET", "/200/full")
            .await
            .status(),
        200
    );
}
