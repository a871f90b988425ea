//! One deadline over three services: `cargo run --release -p examples --bin hops`.
//!
//! front calls orders, orders calls stock, and stock takes its time. Each handler hands the deadline of its caller on with one call,
//! `inherit`, and the timeout of its client tells the next service what is left. When the first caller's time is up, nobody works on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, serve};
use buttress::http::{TIMEOUT_HEADER, inherit};
use buttress::{AdaptiveTimeout, Deadline, HttpExt, WidenLayer, respond};
use http::{HeaderMap, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tower::{ServiceBuilder, ServiceExt};

/// How long stock takes.
const WORK: Duration = Duration::from_millis(300);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let stock = start("stock", Router::new().route("/", get(work))).await?;
    let orders = start("orders", calls("orders", stock)).await?;
    let front = start("front", calls("front", orders)).await?;
    for patience in [1000, 200] {
        println!("a caller who waits {patience} ms");
        let request = Request::get(format!("http://{front}/")).header(TIMEOUT_HEADER, patience);
        let asked = Instant::now();
        let answer = send(request.body(Body::empty())?).await;
        let waited = asked.elapsed().as_millis();
        println!("  is answered {} after {waited} ms\n", answer.status());
        sleep(WORK).await;
    }
    Ok(())
}

/// A handler that calls the next service, with what its own caller has said.
fn calls(name: &'static str, next: SocketAddr) -> Router {
    let handler = async move |State(next): State<SocketAddr>, incoming: Request| {
        tell(name, &incoming);
        let mut outgoing = Request::new(Body::empty());
        *outgoing.uri_mut() = format!("http://{next}/").parse().unwrap_or_default();
        inherit(&incoming, &mut outgoing);
        send(outgoing).await
    };
    Router::new().route("/", get(handler)).with_state(next)
}

/// The last handler: it does not look at the deadline, and is dropped when that has passed.
async fn work(incoming: Request) -> &'static str {
    struct Dropped(bool);

    impl Drop for Dropped {
        fn drop(&mut self) {
            if self.0 {
                println!("  stock    stops working: nobody waits any more");
            }
        }
    }

    tell("stock", &incoming);
    let mut work = Dropped(true);
    sleep(WORK).await;
    work.0 = false;
    "done"
}

/// Serves a router; its peers are trusted to say how long they wait.
async fn start(name: &'static str, router: Router) -> Result<SocketAddr> {
    let timeout = AdaptiveTimeout::builder(name)
        .total(Duration::from_secs(5))
        .build();
    let router = router.layer(respond((timeout.layer(),)).trust_request_timeout());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { serve(listener, router).await });
    Ok(address)
}

/// Sends a request through a client whose timeout writes what is left of the deadline onto it.
async fn send(request: Request) -> Response {
    let timeout = AdaptiveTimeout::builder("client").build();
    let client = ServiceBuilder::new()
        .layer(timeout.layer().http())
        .layer(WidenLayer)
        .service(Client::builder(TokioExecutor::new()).build_http());
    match client.oneshot(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::GATEWAY_TIMEOUT, error.to_string()).into_response(),
    }
}

/// Says what a service knows of its caller's time.
fn tell(name: &str, incoming: &Request) {
    let left = incoming.extensions().get::<Deadline>();
    let left = left.map_or(Duration::MAX, |deadline| deadline.remaining(Instant::now()));
    let header = header(incoming.headers());
    println!("  {name:<8} {} ms left, header {header}", left.as_millis());
}

fn header(headers: &HeaderMap) -> &str {
    let value = headers.get(TIMEOUT_HEADER);
    value.and_then(|value| value.to_str().ok()).unwrap_or("-")
}
