//! Fallback chains around real servers and real clients.

mod cached;
mod grpc;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use buttress::core::{Error, ServedBy, WidenLayer};
use buttress_fallback::{FallbackChain, Source};
use buttress_http::{FallbackBody, HttpExt, LevelBody, Replayed, level, respond};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{ask, serve, soon};

type Sent = Request<Replayed<Full<Bytes>>>;
type Failure = Error<hyper_util::client::legacy::Error>;

/// A server that answers with this status, and its name.
#[derive(Clone)]
struct Server {
    name: &'static str,
    status: Arc<AtomicU16>,
    calls: Arc<AtomicU32>,
    address: SocketAddr,
}

impl Server {
    async fn start(name: &'static str) -> Self {
        let (status, calls) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU32::new(0)));
        let shared = (name, Arc::clone(&status), Arc::clone(&calls));
        let app = Router::new().fallback(answer).with_state(shared);
        let address = serve(app).await;
        Self {
            name,
            status,
            calls,
            address,
        }
    }

    fn says(&self, status: u16) {
        self.status.store(status, SeqCst);
    }

    /// A client of this server, whatever address requests have.
    fn client(
        &self,
    ) -> impl tower::Service<Sent, Response = Response<Incoming>, Error = Failure, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
    + use<> {
        client(self.address)
    }
}

async fn answer(
    State((name, status, calls)): State<(&'static str, Arc<AtomicU16>, Arc<AtomicU32>)>,
    body: Bytes,
) -> impl IntoResponse {
    calls.fetch_add(1, SeqCst);
    let status = StatusCode::from_u16(status.load(SeqCst)).unwrap();
    (
        status,
        format!("{name} got {}", String::from_utf8_lossy(&body)),
    )
}

fn client(
    address: SocketAddr,
) -> impl tower::Service<Sent, Response = Response<Incoming>, Error = Failure, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let client: Client<HttpConnector, Replayed<Full<Bytes>>> =
        Client::builder(TokioExecutor::new()).build_http();
    ServiceBuilder::new()
        .layer(WidenLayer)
        .map_request(move |mut request: Sent| {
            let path = request.uri().path();
            *request.uri_mut() = format!("http://{address}{path}").parse().unwrap();
            request
        })
        .service(client)
}

fn request(method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path);
    request.body(Full::from(body)).unwrap()
}

async fn text<B: http_body::Body<Error: std::fmt::Debug>>(answer: Response<B>) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

// proves: FC-1, FC-2
#[tokio::test]
async fn the_next_server_answers_with_the_whole_request_and_the_answer_says_so() {
    let (primary, replica) = (
        Server::start("primary").await,
        Server::start("replica").await,
    );
    let chain = FallbackChain::builder("orders")
        .replica(Source::service(level(replica.client())))
        .default(Source::with(|| Response::new(LevelBody::from("default"))))
        .build();
    let stack = chain.layer().http().layer(primary.client());
    let call = async || {
        soon(
            "an answer",
            stack.clone().oneshot(request("PUT", "/", "a body")),
        )
        .await
        .unwrap()
    };

    let answer = call().await;
    assert!(answer.headers().get("x-degraded-mode").is_none());
    assert_eq!(text(answer).await, "primary got a body");

    for status in [500, 502, 503, 504, 529] {
        primary.says(status);
        let answer = call().await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-degraded-mode"], "true");
        assert_eq!(answer.headers()["x-degraded-level"], "replica");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let by = answer.extensions().get::<ServedBy>().unwrap();
        assert!(by.degraded && by.errors.as_slice().len() == 1);
        assert_eq!(text(answer).await, "replica got a body");
    }
    // A caller's error is an answer.
    let before = replica.calls.load(SeqCst);
    for status in [400, 401, 403, 404, 409, 422, 429] {
        primary.says(status);
        assert_eq!(call().await.status(), status);
    }
    assert_eq!(replica.calls.load(SeqCst), before);
    primary.says(500);
    replica.says(503);
    let answer = call().await;
    assert_eq!(answer.headers()["x-degraded-level"], "default");
    assert_eq!(text(answer).await, "default");
    assert_eq!(primary.name, "primary");
}

// proves: FC-2
#[tokio::test]
async fn a_server_that_is_gone_is_replaced_within_a_second() {
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let replica = Server::start("replica").await;
    let chain = FallbackChain::builder("orders")
        .replica(Source::service(replica.client()))
        .build();
    let stack = chain.layer().http().layer(client(gone));
    let start = std::time::Instant::now();
    let answer = soon("an answer", stack.oneshot(request("GET", "/", "")))
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-degraded-level"], "replica");
    assert!(start.elapsed() < Duration::from_secs(1));
}

// proves: FC-2
#[tokio::test]
async fn where_every_level_fails_the_client_gets_what_the_primary_said() {
    let (primary, replica) = (
        Server::start("primary").await,
        Server::start("replica").await,
    );
    primary.says(502);
    replica.says(500);
    let chain = FallbackChain::builder("orders")
        .replica(Source::service(replica.client()))
        .build();
    let stack = chain.layer().http().layer(primary.client());
    let answer = soon("an answer", stack.oneshot(request("GET", "/", "")))
        .await
        .unwrap();
    assert_eq!(answer.status(), 502);
    let by = *answer.extensions().get::<ServedBy>().unwrap();
    assert_eq!(by.errors.as_slice().len(), 2);
    assert_eq!(text(answer).await, "primary got ");
    assert_eq!(chain.snapshot().exhausted, 1);
}

/// A chain inside of `respond`, around an axum handler.
fn app(
    chain: &FallbackChain<
        Request<Replayed<axum::body::Body>>,
        Response<LevelBody>,
        Error<std::convert::Infallible>,
    >,
) -> Router {
    let handler = service_fn(async |_: Request<Replayed<axum::body::Body>>| {
        Ok::<_, std::convert::Infallible>(
            (StatusCode::INTERNAL_SERVER_ERROR, "secret").into_response(),
        )
    });
    let service = BoxCloneSyncService::new(
        respond(chain.layer())
            .layer(handler)
            .map_response(IntoResponse::into_response),
    );
    Router::new()
        .route_service("/", service)
        .route("/well", get(|| async { "well" }))
}

// proves: FC-2
#[tokio::test]
async fn a_server_whose_levels_all_fail_says_which_and_why_and_never_what() {
    let chain = FallbackChain::builder("page")
        .replica(Source::function(async |_| {
            let answer = Response::builder().status(503).header("retry-after", "1");
            Ok(answer.body(LevelBody::from("secret")).unwrap())
        }))
        .backup(
            Source::function(async |_| {
                std::future::pending::<()>().await;
                Ok(Response::new(LevelBody::from("secret")))
            })
            .time(Duration::from_millis(20)),
        )
        .build();
    let answer = ask(serve(app(&chain)).await, "GET", "/").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        (&body["status"], &body["reason"]),
        (&503.into(), &"unavailable".into())
    );
    let levels = body["levels"].as_array().unwrap();
    let said: Vec<_> = levels
        .iter()
        .map(|of| {
            (
                of["level"].as_str().unwrap(),
                of["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("primary", "failed"),
            ("replica", "overloaded"),
            ("backup", "timed-out")
        ]
    );
    assert!(!String::from_utf8_lossy(answer.body()).contains("secret"));
}

#[tokio::test]
async fn a_server_with_a_default_never_fails() {
    let chain = FallbackChain::builder("page")
        .default(Source::with(|| {
            Response::new(LevelBody::from("come again"))
        }))
        .build();
    let address = serve(app(&chain)).await;
    for _ in 0..10 {
        let answer = ask(address, "GET", "/").await;
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers()["x-degraded-level"].as_bytes()
            ),
            (200, &b"default"[..])
        );
        assert_eq!(answer.body(), "come again");
    }
    assert_eq!(chain.snapshot().degraded(), 10);
}

#[test]
fn the_body_of_an_answer_goes_between_threads() {
    fn goes<T: Send + 'static>() {}
    goes::<FallbackBody<Incoming, LevelBody>>();
    goes::<FallbackBody<Full<Bytes>>>();
}
