//! What a chain says over gRPC.

use std::convert::Infallible;

use buttress::core::{Cached, Error, WidenLayer};
use buttress_fallback::{FallbackChain, LocalCache, Source};
use buttress_http::{HttpExt, KeptAnswer, LevelBody, Replayed, respond_grpc};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

type Sent = Request<Replayed<Full<Bytes>>>;
type Failure = Error<Infallible>;

/// A message, and trailers with this status.
fn message(status: &'static str) -> Response<LevelBody> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let body =
        Full::new(Bytes::from_static(b"message")).with_trailers(async move { Some(Ok(trailers)) });
    Response::new(LevelBody::new(body))
}

/// An answer without a message.
fn status(status: &'static str) -> Response<LevelBody> {
    let answer = Response::builder().header("grpc-status", status);
    answer.body(LevelBody::from("")).unwrap()
}

fn request() -> Request<Full<Bytes>> {
    let request = Request::builder().method("POST").uri("/orders.Orders/Get");
    request.body(Full::from("question")).unwrap()
}

fn service(
    answer: impl Fn() -> Response<LevelBody> + Clone + Send + Sync + 'static,
) -> impl Service<Sent, Response = Response<LevelBody>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |_| std::future::ready(Ok(answer())))
}

// proves: FC-2, FC-3
#[tokio::test]
async fn a_degraded_answer_says_so_in_its_metadata() {
    for (code, level) in [
        ("14", Some("replica")),
        ("13", Some("replica")),
        ("5", None),
        ("0", None),
    ] {
        let chain = FallbackChain::builder("orders")
            .replica(Source::function(async |_: Sent| {
                Ok::<_, Failure>(message("0"))
            }))
            .build();
        let stack = chain
            .layer()
            .grpc()
            .layer(WidenLayer.layer(service(move || status(code))));
        let answer = stack.oneshot(request()).await.unwrap();
        let said = answer
            .headers()
            .get("x-degraded-level")
            .map(|level| level.to_str().unwrap());
        assert_eq!(said, level, "{code}");
        assert_eq!(
            answer.headers().contains_key("x-degraded-mode"),
            level.is_some()
        );
        if level.is_some() {
            let body = answer.into_body().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
            assert_eq!(body.to_bytes(), "message");
        }
    }
}

// proves: FC-2
#[tokio::test]
async fn where_every_level_fails_the_status_lists_them() {
    let chain = FallbackChain::builder("orders")
        .replica(Source::function(async |_: Sent| {
            Ok::<_, Failure>(status("13"))
        }))
        .build();
    let stack = respond_grpc(chain.layer()).layer(service(|| status("14")));
    let answer = stack.oneshot(request()).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(
        answer.headers()["grpc-message"],
        "no level has answered: primary failed, replica failed"
    );
}

#[tokio::test]
async fn a_message_is_kept_when_its_trailers_say_that_all_went_well() {
    for (code, kept) in [("0", 1), ("13", 0)] {
        let cache = LocalCache::keyed(|request: &Sent| Some(request.uri().path().to_owned()));
        let chain: FallbackChain<Sent, Response<LevelBody>, Failure, Cached<KeptAnswer>> =
            FallbackChain::builder("orders").local_cache(cache).build();
        let well = chain
            .layer()
            .grpc()
            .layer(WidenLayer.layer(service(move || message(code))));
        let answer = well.oneshot(request()).await.unwrap();
        answer.into_body().collect().await.unwrap();
        assert_eq!(chain.snapshot().levels[1].entries, kept, "{code}");
        let ill = chain
            .layer()
            .grpc()
            .layer(WidenLayer.layer(service(|| status("14"))));
        let answer = ill.oneshot(request()).await.unwrap();
        if kept == 1 {
            assert_eq!(answer.headers()["x-degraded-level"], "local-cache");
            let body = answer.into_body().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
            assert_eq!(body.to_bytes(), "message");
        }
    }
}
