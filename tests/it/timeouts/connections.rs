//! Connections that are never made, and what becomes of the request.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::post;
use buttress_core::WidenLayer;
use buttress_http::HttpExt;
use buttress_retry::{Backoff, Retry};
use buttress_timeout::ConnectionTimeoutLayer;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, Service, ServiceExt};

use super::{MS, SECOND};
use crate::support::{serve, soon};

/// Connects, except that the first few attempts never come to an end.
#[derive(Clone)]
struct Stubborn {
    inner: HttpConnector,
    left: usize,
    attempts: Arc<AtomicUsize>,
}

type Connection = <HttpConnector as Service<Uri>>::Response;
type ConnectError = <HttpConnector as Service<Uri>>::Error;

impl Service<Uri> for Stubborn {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if self.attempts.fetch_add(1, SeqCst) < self.left {
            return Box::pin(pending());
        }
        Box::pin(self.inner.call(uri))
    }
}

#[tokio::test]
async fn a_connection_that_is_never_made_is_given_up_and_the_post_is_sent_again() {
    let app = Router::new().route("/", post(|body: Bytes| async move { body }));
    let address = serve(app).await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let stubborn = Stubborn {
        inner: HttpConnector::new(),
        left: 2,
        attempts: Arc::clone(&attempts),
    };
    let connector = (ConnectionTimeoutLayer::of(100 * MS), WidenLayer).layer(stubborn);
    let hyper = Client::builder(TokioExecutor::new()).build(connector);
    let retry = Retry::builder("unsent")
        .backoff(Backoff::constant(MS))
        .build();
    let client = (retry.layer().http(), WidenLayer).layer(hyper);
    let request =
        Request::post(format!("http://{address}/")).body(Full::new(Bytes::from_static(b"once")));
    let answer = soon("the answer", client.oneshot(request.unwrap()))
        .await
        .unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!((&body[..], attempts.load(SeqCst)), (&b"once"[..], 3));
    assert_eq!(retry.snapshot().budget.total_retries, 2);
}

/// Whose peers accept nothing any more: what the system has room for is taken.
#[tokio::test]
async fn a_listener_that_does_not_accept_is_given_up_too() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut taken = Vec::new();
    // Until one more has to wait.
    while taken.len() < 64 {
        let connecting = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(50 * MS, connecting).await {
            Ok(connection) => taken.push(connection),
            Err(_) => break,
        }
    }
    if taken.len() == 64 {
        println!("this system takes any number of connections that nobody accepts");
        return;
    }
    let connector = (ConnectionTimeoutLayer::of(100 * MS), WidenLayer).layer(HttpConnector::new());
    let hyper = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let request = Request::get(format!("http://{address}/"))
        .body(Full::default())
        .unwrap();
    let started = std::time::Instant::now();
    let error = soon("the end", hyper.request(request)).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert!(started.elapsed() < 2 * SECOND);
}
