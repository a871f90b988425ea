//! What a server says when no level of a chain has answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::{Error, Reason, Rejected, ServedBy};
use buttress_fallback::{FallbackChain, Source};
use buttress_http::{LevelBody, Replayed, respond, respond_grpc};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, ServiceExt, service_fn};

type Body = Full<Bytes>;
type Sent = Request<Replayed<Body>>;
type Failure = Error<Infallible>;
type Chain = FallbackChain<Sent, Response<LevelBody>, Failure>;

fn answer(status: u16, headers: &[(&str, &str)]) -> Response<LevelBody> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body("what a level has said".into()).unwrap()
}

type Says = (u16, &'static [(&'static str, &'static str)]);

fn replica((status, headers): Says) -> Source<Sent, Response<LevelBody>, Failure> {
    Source::function(move |_: Sent| std::future::ready(Ok(answer(status, headers))))
}

fn chain(source: Source<Sent, Response<LevelBody>, Failure>) -> Chain {
    FallbackChain::builder("chain").replica(source).build()
}

fn request(method: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri("/");
    request.body(Full::from("")).unwrap()
}

// proves: FC-2
#[tokio::test]
async fn the_soonest_time_that_a_level_has_named_is_passed_on() {
    let chain = chain(replica((503, &[("retry-after", "20")])));
    let handler =
        service_fn(async |_: Sent| Ok::<_, Infallible>(answer(503, &[("retry-after", "30")])));
    let stack = respond(chain.layer()).layer(handler);
    let answer = stack.oneshot(request("GET")).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "20");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(
        answer.extensions().get::<ServedBy>().is_none(),
        "nobody has"
    );
    assert!(
        answer.extensions().get::<Rejected>().is_none(),
        "they failed"
    );
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let head = concat!(
        r#"{"type":"about:blank","title":"Service Unavailable","status":503,"#,
        r#""reason":"unavailable","retry_after_ms":20000,"levels":[{"level":"primary","#
    );
    assert!(body.starts_with(head), "{body}");
    assert!(body.ends_with("}]}") && body.contains("replica"), "{body}");
}

#[tokio::test]
async fn over_grpc_it_is_a_push_back() {
    const EXHAUSTED: Says = (
        200,
        &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "700")],
    );
    let chain = chain(replica(EXHAUSTED));
    let handler = service_fn(async |_: Sent| Ok::<_, Infallible>(answer(EXHAUSTED.0, EXHAUSTED.1)));
    let stack = respond_grpc(chain.layer()).layer(handler);
    let answer = stack.oneshot(request("POST")).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(answer.headers()["grpc-retry-pushback-ms"], "700");
    assert_eq!(
        answer.headers()["grpc-message"],
        "no level has answered: primary failed, replica failed"
    );
}

// proves: FC-3
#[tokio::test]
async fn levels_that_we_have_refused_ourselves_are_no_failures() {
    let full = Bulkhead::builder("full").max_concurrent(1).build();
    let slot = full.try_acquire().unwrap();
    let breaker = CircuitBreaker::builder("outer")
        .consecutive_failures(3)
        .build();
    let chain = chain(replica((200, &[])).gate(full.clone()));
    let handler = service_fn(async |_: Sent| Ok::<_, Infallible>(answer(200, &[])));
    let stack = respond((breaker.layer(), chain.layer(), full.refusing_layer())).layer(handler);
    for _ in 0..10 {
        let answer = stack.clone().oneshot(request("GET")).await.unwrap();
        assert_eq!(answer.status(), 503);
        let refused = answer.extensions().get::<Rejected>().unwrap();
        assert_eq!(refused.reason(), Reason::Unavailable);
        assert_eq!(refused.component().as_str(), "chain");
    }
    assert_eq!(breaker.snapshot().failure_count, 0);
    drop(slot);
    let answer = stack.oneshot(request("GET")).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_says_how_long_it_would_be() {
    let of = async |method| {
        let chain = chain(replica((500, &[])));
        let handler = service_fn(async |_: Sent| Ok::<_, Infallible>(answer(500, &[])));
        let stack = respond(chain.layer()).layer(handler);
        stack.oneshot(request(method)).await.unwrap()
    };
    let (whole, head) = (of("GET").await, of("HEAD").await);
    assert!(head.body().is_end_stream());
    let length = head.headers()["content-length"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        head.into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
    let body = whole.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len().to_string(), length);
    // A default knows the method no better.
    let chain: Chain = FallbackChain::builder("chain")
        .default(Source::with(|| answer(200, &[])))
        .total_time(Duration::from_secs(1))
        .build();
    let handler = service_fn(async |_: Sent| Ok::<_, Infallible>(answer(500, &[])));
    let stack = respond(chain.layer()).layer(handler);
    let answer = stack.oneshot(request("HEAD")).await.unwrap();
    assert_eq!(answer.headers()["x-degraded-level"], "default");
    assert!(answer.body().is_end_stream());
}

#[tokio::test]
async fn what_the_primary_said_is_read_so_that_its_connection_is_of_use_again() {
    let is_read = Arc::new(AtomicBool::new(false));
    let of = Arc::clone(&is_read);
    let handler = service_fn(move |_: Sent| {
        let is_read = Arc::clone(&of);
        let frames = stream::unfold(2, move |left| {
            is_read.fetch_or(left == 0, SeqCst);
            let frame = (left > 0).then(|| Ok::<_, Infallible>(Frame::data(Bytes::from("bad"))));
            std::future::ready(frame.map(|frame| (frame, left - 1)))
        });
        let mut answer = answer(500, &[]);
        *answer.body_mut() = LevelBody::new(StreamBody::new(frames));
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let chain = chain(replica((500, &[])));
    let stack = respond(chain.layer()).layer(handler);
    let answer = stack.oneshot(request("GET")).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(is_read.load(SeqCst));
}
