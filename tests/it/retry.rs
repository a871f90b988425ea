//! Retries over real sockets: bodies that are no `Clone`, uploads, connections, tiers.

mod answers;
mod bodies;
mod connections;
mod deadlines;
mod tiers;
mod unsent;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Request;
use axum::routing::any;
use buttress::{Backoff, Retry};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;

use crate::support::serve;

/// At once, so that no test waits.
fn quick(name: &'static str) -> Retry {
    Retry::builder(name)
        .backoff(Backoff::constant(Duration::ZERO))
        .build()
}

/// What a server has got.
#[derive(Clone, Default)]
struct Seen {
    calls: Arc<AtomicUsize>,
    bodies: Arc<std::sync::Mutex<Vec<Bytes>>>,
    heads: Arc<std::sync::Mutex<Vec<HeaderMap>>>,
}

impl Seen {
    fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    fn bodies(&self) -> Vec<Bytes> {
        self.bodies.lock().unwrap().clone()
    }

    /// What stood in this header of each request.
    fn header(&self, name: &str) -> Vec<Option<String>> {
        let heads = self.heads.lock().unwrap();
        let value = |head: &HeaderMap| Some(head.get(name)?.to_str().unwrap().to_owned());
        heads.iter().map(value).collect()
    }
}

/// A server that answers so many calls with 503, reads every body, and then answers with it.
async fn flaky(failures: usize) -> (Seen, SocketAddr) {
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |request: Request| answer(seen.clone(), failures, request)
    };
    let address = serve(Router::new().route("/", any(handler))).await;
    (seen, address)
}

async fn answer(seen: Seen, failures: usize, request: Request) -> Response<AxumBody> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    seen.heads.lock().unwrap().push(head.headers);
    seen.bodies.lock().unwrap().push(body.clone());
    let mut response = Response::new(AxumBody::from(body));
    if seen.calls.fetch_add(1, SeqCst) < failures {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
