//! Answers that are held until their bodies have begun as they should.

use std::convert::Infallible;
use std::error::Error;

use buttress_core::{Name, Reason, Rejected};
use buttress_http::{Commit, Committed, Held, commit_at};
use buttress_sync::Mutex;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, ServiceExt, service_fn};

type Failure = Box<dyn Error + Send + Sync>;
type Piece = Result<Frame<Bytes>, Failure>;
type Body = UnsyncBoxBody<Bytes, Failure>;

fn text(text: impl Into<Bytes>) -> Piece {
    Ok(Frame::data(text.into()))
}

/// What becomes of an answer whose body is this. A stream that has ended must not be polled again.
async fn held(
    content_type: &'static str,
    pieces: Vec<Piece>,
    predicate: fn(Held<'_>) -> Commit,
) -> Response<Committed<Body>> {
    let frames = stream::unfold(pieces.into_iter(), |mut left| async {
        left.next().map(|piece| (piece, left))
    });
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert("content-type", content_type);
    answer.extensions_mut().insert("of the head");
    let cell = Mutex::new(Some(answer));
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        let answer = cell.lock().take().unwrap();
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let request = Request::new(Full::from(""));
    let stack = commit_at(predicate).layer(service);
    stack.oneshot(request).await.unwrap()
}

const HTTP: &str = "application/json";
const GRPC: &str = "application/grpc";

#[tokio::test]
async fn a_body_that_ends_while_it_is_held_goes_on_whole_and_is_not_asked_again() {
    let pieces = vec![text("one"), text("two")];
    let answer = held(HTTP, pieces, |_| Commit::Hold).await;
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "onetwo");
}

#[tokio::test]
async fn one_that_fails_is_a_bad_gateway_that_nobody_keeps() {
    for pieces in [
        vec![text("bad")],
        vec![text("good so far"), Err("cut".into())],
    ] {
        let judge = |held: Held<'_>| match held.contains(b"bad") {
            true => Commit::Fail,
            false => Commit::Hold,
        };
        let answer = held(HTTP, pieces, judge).await;
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.extensions().get(), Some(&"of the head"));
        assert!(answer.extensions().get::<Rejected>().is_none());
    }
}

// proves: FC-3
#[tokio::test]
async fn one_that_a_component_of_ours_has_ended_is_its_refusal() {
    let refused = Rejected::new(Reason::DeadlineExceeded, Name::new("timeout"));
    let pieces = || vec![text("good so far"), Err(Box::new(refused).into())];
    let answer = held(HTTP, pieces(), |_| Commit::Hold).await;
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.extensions().get(), Some(&refused));
    let answer = held(GRPC, pieces(), |_| Commit::Hold).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["grpc-status"], "4");
    assert_eq!(answer.extensions().get(), Some(&refused));
    assert!(answer.body().is_end_stream(), "a head without a body");
}

#[tokio::test]
async fn trailers_with_an_error_are_the_answer_before_anything_went_on() {
    let trailers = |code: &str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().unwrap());
        trailers.insert("x-more", "kept".parse().unwrap());
        Ok(Frame::trailers(trailers))
    };
    let answer = held(GRPC, vec![trailers("14")], |_| Commit::Hold).await;
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(answer.headers()["x-more"], "kept");
    assert_eq!(answer.headers()["content-type"], GRPC);
    assert!(answer.body().is_end_stream(), "a head without a body");
    let answer = held(GRPC, vec![text("message"), trailers("0")], |_| Commit::Hold).await;
    assert!(!answer.headers().contains_key("grpc-status"));
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    let answer = held(GRPC, vec![text("bad")], |_| Commit::Fail).await;
    assert_eq!(answer.headers()["grpc-status"], "14");
}

#[tokio::test]
async fn no_more_is_looked_at_than_was_said() {
    let long = Bytes::from(vec![b'x'; 100_000]);
    let judge = |held: Held<'_>| {
        assert!(held.bytes().len() <= 64 * 1024);
        Commit::Hold
    };
    let pieces = vec![text("a"), text(long.clone()), Err("cut".into())];
    let mut answer = held(HTTP, pieces, judge).await;
    assert_eq!(answer.status(), 200);
    let body = answer.body_mut();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "a");
    let second = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(second, long);
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
    // Frames count, too.
    let pieces = (0..5000).map(|_| text(Bytes::new()));
    let pieces = pieces.chain([Err("cut".into())]).collect();
    let answer = held(HTTP, pieces, judge).await;
    assert_eq!(answer.status(), 200);
}
