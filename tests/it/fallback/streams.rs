//! Streams that fail before, and after, they have begun as they should.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use buttress_fallback::{FallbackChain, Source};
use buttress_http::{Commit, HttpExt, ServerSentEvent, by_event, commit_at};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};

use super::{client, request, text};
use crate::support::{serve, soon};

/// What a server streams, a frame after the other.
#[derive(Clone, Copy)]
enum Piece {
    Text(&'static str),
    Error,
    Hang,
}

use Piece::{Error, Hang, Text};

async fn streaming(pieces: &'static [Piece]) -> std::net::SocketAddr {
    serve(Router::new().fallback(move || async move {
        let frames = stream::iter(pieces).then(|piece| async move {
            // Apart from each other, so that none is joined with the next.
            tokio::time::sleep(Duration::from_millis(5)).await;
            match piece {
                Text(text) => Ok(Bytes::from_static(text.as_bytes())),
                Error => Err(std::io::Error::other("cut")),
                Hang => std::future::pending().await,
            }
        });
        (
            [("content-type", "text/event-stream")],
            Body::from_stream(frames),
        )
            .into_response()
    }))
    .await
}

fn first_content(event: ServerSentEvent<'_>) -> Commit {
    match event.name() {
        b"error" => Commit::Fail,
        b"content" => Commit::Pass,
        _ => Commit::Hold,
    }
}

/// What comes of a first provider that streams this, with a second that is well.
async fn answered(pieces: &'static [Piece]) -> (Option<String>, Result<String, ()>) {
    const WELL: &[Piece] = &[Text(": ping\n\n"), Text("event: content\ndata: well\n\n")];
    let (first, second) = (streaming(pieces).await, streaming(WELL).await);
    let hold = commit_at(by_event(first_content));
    let chain = FallbackChain::builder("models")
        .replica(Source::service(hold.layer(client(second))))
        .primary_time(Duration::from_millis(500))
        .build();
    let stack = chain.layer().http().layer(hold.layer(client(first)));
    let answer = soon(
        "an answer",
        stack.oneshot(request("POST", "/", "a question")),
    )
    .await
    .unwrap();
    let level = answer.headers().get("x-degraded-level");
    let level = level.map(|level| level.to_str().unwrap().to_owned());
    let body = soon("the body", answer.into_body().collect()).await;
    let body = body
        .map_err(drop)
        .map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap());
    (level, body)
}

const SECOND: &str = ": ping\n\nevent: content\ndata: well\n\n";

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_is_replaced() {
    const BEFORE: [&[Piece]; 5] = [
        &[Error],
        &[Text(": ping\n\n"), Error],
        &[
            Text(": ping\n\n"),
            Text("event: error\ndata: overloaded\n\n"),
        ],
        // Cut in two.
        &[Text(": ping\n\nevent: er"), Text("ror\n\n")],
        &[Text("event: start\n\n"), Hang],
    ];
    for pieces in BEFORE {
        let (level, body) = answered(pieces).await;
        assert_eq!(
            (level.as_deref(), body.as_deref()),
            (Some("replica"), Ok(SECOND))
        );
    }
}

#[tokio::test]
async fn one_that_fails_after_it_ends_with_the_error_and_is_not() {
    for pieces in [
        &[Text("event: content\n\n"), Error] as &[Piece],
        &[
            Text(": ping\n\n"),
            Text("event: con"),
            Text("tent\n\n"),
            Error,
        ],
    ] {
        assert_eq!(answered(pieces).await, (None, Err(())));
    }
}

#[tokio::test]
async fn what_was_held_goes_on_byte_for_byte() {
    let (level, body) = answered(&[
        Text(": ping\n\n"),
        Text("event: con"),
        Text("tent\n\n"),
        Text("event: content\ndata: 2\n\n"),
    ])
    .await;
    assert_eq!(level, None);
    assert_eq!(
        body.unwrap(),
        ": ping\n\nevent: content\n\nevent: content\ndata: 2\n\n"
    );
    // One that ends undecided is an answer.
    let (level, body) = answered(&[Text(": ping\n\n"), Text("the end")]).await;
    assert_eq!((level, body.unwrap().as_str()), (None, ": ping\n\nthe end"));
}

#[tokio::test]
async fn no_more_than_64_kib_are_held() {
    let app = Router::new().fallback(|| async {
        let endless =
            stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1000])));
        Body::from_stream(endless).into_response()
    });
    let stack = commit_at(|_| Commit::Hold).layer(client(serve(app).await));
    let chain = FallbackChain::<super::Sent, http::Response<buttress_http::LevelBody>, _>::builder(
        "endless",
    )
    .build();
    let stack = chain.layer().http().layer(stack);
    let answer = soon("an answer", stack.oneshot(request("GET", "/", "")))
        .await
        .unwrap();
    let held = http_body::Body::size_hint(answer.body()).lower();
    assert!((64 * 1024..80 * 1024).contains(&held), "{held}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_held() {
    let app = Router::new().fallback(|| async { (http::StatusCode::NOT_FOUND, "no") });
    let stack = commit_at(|_| Commit::Fail).layer(client(serve(app).await));
    let chain =
        FallbackChain::<super::Sent, http::Response<buttress_http::LevelBody>, _>::builder("none")
            .build();
    let answer = soon(
        "an answer",
        chain
            .layer()
            .http()
            .layer(stack)
            .oneshot(request("GET", "/", "")),
    )
    .await
    .unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(text(answer).await, "no");
}
