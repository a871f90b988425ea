//! A deadline that goes from service to service over real sockets, and shrinks on its way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress_core::{Deadline, WidenLayer};
use buttress_http::{HttpExt, inherit, respond};
use buttress_timeout::AdaptiveTimeout;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt};

use super::{MS, SECOND};
use crate::support::{Connection, serve};

/// What each service was told, in the order of the calls: its name, the header, and the deadline that its handler found.
type Log = Arc<Mutex<Vec<(&'static str, Option<Duration>, Option<Duration>)>>>;

#[derive(Clone)]
struct Hop {
    name: &'static str,
    next: Option<SocketAddr>,
    log: Log,
}

impl Hop {
    async fn serve(self, trusts: bool) -> SocketAddr {
        let timeout = AdaptiveTimeout::fixed(60 * SECOND);
        let layers = respond((timeout.layer(),));
        let layers = if trusts {
            layers.trust_request_timeout()
        } else {
            layers
        };
        let handler = move |request: Request<Body>| self.clone().answer(request);
        serve(Router::new().route("/", get(handler)).layer(layers)).await
    }

    async fn answer(self, request: Request<Body>) -> StatusCode {
        let header = request.headers().get("x-request-timeout");
        let header = header.map(|value| MS * value.to_str().unwrap().parse::<u32>().unwrap());
        let deadline = request.extensions().get::<Deadline>();
        let left = deadline.map(|deadline| deadline.remaining(Instant::now()));
        self.log.lock().unwrap().push((self.name, header, left));
        let Some(next) = self.next else {
            return StatusCode::OK;
        };
        // Work, of which the next service is to know.
        sleep(10 * MS).await;
        let mut outgoing = ask(next);
        inherit(&request, &mut outgoing);
        send(60 * SECOND, outgoing).await.status()
    }
}

fn ask(address: SocketAddr) -> Request<Empty<Bytes>> {
    let request = Request::get(format!("http://{address}/"));
    request.body(Empty::new()).unwrap()
}

async fn send(total: Duration, request: Request<Empty<Bytes>>) -> Response<Bytes> {
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let client = (AdaptiveTimeout::fixed(total).layer().http(), WidenLayer).layer(hyper);
    let (head, body) = client.oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// A request whose caller has gone already.
async fn send_too_late(address: SocketAddr) -> Response<Incoming> {
    let request = Request::get("/")
        .header("host", "late")
        .header("x-request-timeout", "0");
    let request = request.body(Empty::new()).unwrap();
    Connection::open(address).await.pass(request).await
}

async fn three(log: &Log, trusts: bool) -> SocketAddr {
    let mut next = None;
    for name in ["C", "B", "A"] {
        let log = Arc::clone(log);
        next = Some(Hop { name, next, log }.serve(trusts).await);
    }
    next.unwrap()
}

#[tokio::test]
async fn a_deadline_shrinks_from_hop_to_hop() {
    let log = Log::default();
    let first = three(&log, true).await;
    for _ in 0..3 {
        assert_eq!(send(2 * SECOND, ask(first)).await.status(), 200);
        let seen = std::mem::take(&mut *log.lock().unwrap());
        assert_eq!(
            seen.iter().map(|hop| hop.0).collect::<Vec<_>>(),
            ["A", "B", "C"]
        );
        let mut before = 2 * SECOND + MS;
        for (name, header, left) in seen {
            let (header, left) = (header.unwrap(), left.unwrap());
            assert!(
                header < before && header > SECOND,
                "{name}: {header:?} of {before:?}"
            );
            assert!(
                left <= header && left > SECOND,
                "{name}: {left:?} of {header:?}"
            );
            before = left;
        }
    }
}

#[tokio::test]
async fn what_a_service_does_not_trust_it_ignores() {
    let log = Log::default();
    let first = three(&log, false).await;
    assert_eq!(send(2 * SECOND, ask(first)).await.status(), 200);
    for (name, _, left) in log.lock().unwrap().iter() {
        assert!(
            left.unwrap() > 50 * SECOND,
            "{name} has its own total, and finds {left:?}"
        );
    }
    // Not even that the caller has gone.
    assert_eq!(send_too_late(first).await.status(), 200);
}

#[tokio::test]
async fn a_request_whose_caller_has_gone_is_refused_before_any_work() {
    let log = Log::default();
    let hop = Hop {
        name: "backend",
        next: None,
        log: Arc::clone(&log),
    };
    let address = hop.serve(true).await;
    assert_eq!(send_too_late(address).await.status(), 504);
    assert!(log.lock().unwrap().is_empty());
}

/// The one in the middle waits for one that hangs; nobody waits longer than the first.
#[tokio::test]
async fn every_hop_gives_up_with_the_first() {
    let hanging = Router::new().route(
        "/",
        get(|| async { std::future::pending::<StatusCode>().await }),
    );
    let log = Log::default();
    let server = AdaptiveTimeout::fixed(60 * SECOND);
    let last = serve(hanging.layer(respond((server.layer(),)).trust_request_timeout())).await;
    let hop = Hop {
        name: "middle",
        next: Some(last),
        log,
    };
    let first = hop.serve(true).await;
    let started = std::time::Instant::now();
    let client = AdaptiveTimeout::fixed(200 * MS);
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let stack = (client.layer().http(), WidenLayer).layer(hyper);
    let answer = stack.oneshot(ask(first)).await;
    let gave_up = answer.map_or(true, |answer| {
        answer.status() == StatusCode::GATEWAY_TIMEOUT
    });
    assert!(gave_up && started.elapsed() < 5 * SECOND);
    crate::support::eventually(|| server.snapshot().deadline_exceeded, 1).await;
}
