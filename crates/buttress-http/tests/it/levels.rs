//! What a level of a fallback chain has taken is given back when its answer is over.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::{Deadline, Error, Reason, Rejectable, WidenLayer};
use buttress_fallback::{FallbackChain, FallbackChainBuilder, Source};
use buttress_http::{FallbackBody, HttpExt, LevelBody, Replayed};
use buttress_rate_limit::{Rate, RateLimit};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

type Body = Full<Bytes>;
type Sent = Request<Replayed<Body>>;
type Failure = Error<Infallible>;
type Chain = FallbackChain<Sent, Response<LevelBody>, Failure>;
type Answers = Response<FallbackBody<LevelBody, LevelBody>>;
type Stack = BoxCloneSyncService<Request<Body>, Answers, Failure>;

/// What a level streams.
#[derive(Clone, Copy, Debug)]
enum Streams {
    Two,
    Fails,
    Hangs,
    Nothing,
    Status(&'static str),
}

fn streaming(streams: Streams) -> Response<LevelBody> {
    let data = || Ok(Frame::data(Bytes::from_static(b"piece")));
    let last: Result<Frame<Bytes>, std::io::Error> = match streams {
        Streams::Nothing => return Response::new(LevelBody::from("")),
        Streams::Two | Streams::Hangs => data(),
        Streams::Fails => Err(std::io::Error::other("cut")),
        Streams::Status(status) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(status));
            Ok(Frame::trailers(trailers))
        }
    };
    let frames = stream::iter([data(), last]);
    Response::new(match streams {
        Streams::Hangs => LevelBody::new(StreamBody::new(
            frames.chain(stream::once(pending::<Result<_, std::io::Error>>())),
        )),
        _ => LevelBody::new(StreamBody::new(frames)),
    })
}

/// A primary that fails, and a replica for one call at once that streams.
fn chain(streams: Streams, breaker: &CircuitBreaker) -> Chain {
    let replica = Source::function(move |_: Sent| std::future::ready(Ok(streaming(streams))));
    FallbackChain::builder("streams")
        .replica(replica.limit(1).gate(breaker.clone()))
        .build()
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("replica").build()
}

fn broken() -> Response<LevelBody> {
    let answer = Response::builder().status(500).header("grpc-status", "14");
    answer.body(LevelBody::from("")).unwrap()
}

/// The protocol of a stack.
#[derive(Clone, Copy)]
enum Over {
    Http,
    Grpc,
    HttpUntilHeaders,
}

fn stack(chain: &Chain, over: Over) -> Stack {
    let primary = WidenLayer.layer(service_fn(async |_: Sent| Ok::<_, Infallible>(broken())));
    let layer = chain.layer();
    match over {
        Over::Http => BoxCloneSyncService::new(layer.http().layer(primary)),
        Over::Grpc => BoxCloneSyncService::new(layer.grpc().layer(primary)),
        Over::HttpUntilHeaders => {
            BoxCloneSyncService::new(layer.http().until_headers().layer(primary))
        }
    }
}

fn request() -> Request<Body> {
    Request::new(Full::from("a question"))
}

fn active(chain: &Chain) -> u32 {
    chain.snapshot().levels[1].active_calls
}

// proves: FC-5, A-2
#[tokio::test]
async fn the_slot_of_a_level_is_free_again_when_its_answer_is_over() {
    let breaker = breaker();
    let chain = chain(Streams::Two, &breaker);
    let stack = stack(&chain, Over::Http);
    let mut body = stack.clone().oneshot(request()).await.unwrap().into_body();
    assert_eq!(active(&chain), 1, "the body is still to come");
    // The one place is taken, so the primary's failure stands.
    let full = stack.clone().oneshot(request()).await.unwrap();
    assert_eq!(full.status(), 500);
    body.frame().await.unwrap().unwrap();
    assert_eq!(active(&chain), 1);
    body.frame().await.unwrap().unwrap();
    assert!(body.frame().await.is_none());
    assert_eq!((active(&chain), breaker.snapshot().success_count), (0, 1));
    // A body that is left gives it back, too, read or unread.
    for read in [false, true] {
        let mut body = stack.clone().oneshot(request()).await.unwrap().into_body();
        if read {
            body.frame().await.unwrap().unwrap();
        }
        assert_eq!(active(&chain), 1);
        drop(body);
        assert_eq!(active(&chain), 0);
    }
}

// proves
#[tokio::test]
async fn gates_of_a_level_hear_how_its_body_has_ended() {
    for (streams, over, failures, successes) in [
        (Streams::Two, Over::Http, 0, 1),
        (Streams::Fails, Over::Http, 1, 0),
        (Streams::Nothing, Over::Http, 0, 1),
        (Streams::Status("0"), Over::Grpc, 0, 1),
        (Streams::Status("13"), Over::Grpc, 1, 0),
        (Streams::Fails, Over::HttpUntilHeaders, 0, 1),
    ] {
        let breaker = breaker();
        let chain = chain(streams, &breaker);
        let answer = stack(&chain, over).oneshot(request()).await.unwrap();
        let _ = answer.into_body().collect().await;
        let snapshot = breaker.snapshot();
        assert_eq!(
            (snapshot.failure_count, snapshot.success_count),
            (failures, successes),
            "{streams:?}"
        );
        assert_eq!(active(&chain), 0);
    }
}

// proves: A-2
#[tokio::test]
async fn until_headers_the_slot_is_free_with_the_head() {
    let chain = chain(Streams::Hangs, &breaker());
    let answers: Vec<_> = [Over::HttpUntilHeaders, Over::Http]
        .map(|over| stack(&chain, over).oneshot(request()).now_or_never())
        .into_iter()
        .map(|answer| answer.unwrap().unwrap())
        .collect();
    assert_eq!(active(&chain), 1, "of the second");
    let mut body = answers.into_iter().next_back().unwrap().into_body();
    for is_there in [true, true, false] {
        assert_eq!(body.frame().now_or_never().is_some(), is_there);
    }
    drop(body);
    assert_eq!(active(&chain), 0);
}

const TOTAL: Duration = Duration::from_secs(10);

fn says(text: &'static str) -> Response<LevelBody> {
    Response::new(LevelBody::from(text))
}

fn two_levels() -> FallbackChainBuilder<Sent, Response<LevelBody>, Failure> {
    let replica = Source::function(async |_: Sent| Ok(says("replica")));
    FallbackChain::builder("chain")
        .replica(replica)
        .total_time(TOTAL)
}

fn primary()
-> impl tower::Service<Sent, Response = Response<LevelBody>, Error = Failure, Future: Send> + Clone
{
    WidenLayer.layer(service_fn(async |_: Sent| {
        Ok::<_, Infallible>(says("primary"))
    }))
}

// proves: FC-3
#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_a_levels_time_leaves_the_call_to_the_next() {
    let bulkhead = Bulkhead::builder("inner").max_concurrent(1).build();
    let _slot = bulkhead.try_acquire().unwrap();
    let limit = RateLimit::builder("inner")
        .token_bucket(Rate::per_minute(1).burst(1))
        .queue(8)
        .build();
    assert!(limit.try_acquire().is_ok());
    let start = Instant::now();
    // Neither a slot nor a turn comes before the primary has had its half; nobody has said that the caller has gone.
    let layer = two_levels().build().layer().http();
    let queued = layer.layer(bulkhead.layer().http().layer(primary()));
    let answer = queued.oneshot(request()).await.unwrap();
    assert_eq!(answer.headers()["x-degraded-level"], "replica");
    assert_eq!(start.elapsed(), TOTAL / 2);
    let limited = layer.layer(limit.waiting_layer().http().layer(primary()));
    let answer = limited.oneshot(request()).await.unwrap();
    assert_eq!(answer.headers()["x-degraded-level"], "replica");
}

// proves: FC-3
#[tokio::test(start_paused = true)]
async fn once_the_caller_has_gone_a_queue_leaves_the_call_to_nobody() {
    let bulkhead = Bulkhead::builder("inner").max_concurrent(1).build();
    let _slot = bulkhead.try_acquire().unwrap();
    let chain = two_levels().primary_time(TOTAL).build();
    let layer = chain.layer().http();
    let queued = layer.layer(bulkhead.layer().http().layer(primary()));
    let mut request = request();
    let deadline = Deadline::after(Instant::now(), TOTAL);
    request.extensions_mut().insert(deadline);
    let refused = queued.oneshot(request).await.unwrap_err();
    let reason = refused.rejection().unwrap().reason();
    assert_eq!(reason, Reason::DeadlineExceeded);
    assert_eq!(chain.snapshot().levels[1].served, 0);
}

// proves: FC-6
#[tokio::test]
async fn the_primary_has_the_whole_request_after_another_level_was_tried_first() {
    let fails = || Source::function(async |_: Sent| Ok(broken()));
    let full = || fails().limit(0);
    // Reads the request first, as most do.
    let reads = || {
        Source::function(async |request: Sent| {
            let read = request.into_body().collect().await;
            assert_eq!(read.unwrap().to_bytes(), "a question");
            Ok(broken())
        })
    };
    for replica in [fails(), full(), reads()] {
        let chain: Chain = FallbackChain::builder("exercised")
            .replica(replica)
            .exercise(1.0)
            .build();
        let primary = service_fn(async |request: Sent| {
            let read = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(Response::new(LevelBody::from(read)))
        });
        let stack = chain.layer().http().layer(WidenLayer.layer(primary));
        let answer = stack.oneshot(Request::new(Full::from("a question"))).await;
        let answer = answer.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "a question");
        let seen = chain.snapshot();
        assert_eq!((seen.levels[0].served, seen.levels[0].failed), (1, 0));
    }
}
