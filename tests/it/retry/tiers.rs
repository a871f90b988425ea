//! Retries at three tiers, one behind the other.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Request as AxumRequest;
use axum::routing::any;
use buttress::core::WidenLayer;
use buttress::{Backoff, Retry, RetryBudget};
use buttress_http::{HttpExt, inherit};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{ServiceBuilder, ServiceExt};

use super::flaky;
use crate::support::serve;

/// Three retries, as often as anybody wants: here it is the marks that bound them.
fn retry(announces: bool) -> Retry {
    let budget = RetryBudget::sliding(1.0, Duration::from_secs(600));
    (0..100).for_each(|_| budget.requested());
    Retry::builder("tier")
        .backoff(Backoff::constant(Duration::ZERO))
        .budget(&budget)
        .announce(announces)
        .build()
}

async fn ask(retry: &Retry, request: Request<Empty<Bytes>>) -> Response<Incoming> {
    let client = ServiceBuilder::new()
        .layer(retry.layer().http())
        .layer(WidenLayer)
        .service(Client::builder(TokioExecutor::new()).build_http());
    client.oneshot(request).await.unwrap()
}

/// Passes each call on to the next tier, retries included, and the status of the answer back.
async fn tier(next: SocketAddr, retry: Retry) -> SocketAddr {
    let handler = move |incoming: AxumRequest| {
        let retry = retry.clone();
        async move {
            let outgoing = Request::get(format!("http://{next}/"));
            let mut outgoing = outgoing.body(Empty::new()).unwrap();
            inherit(&incoming, &mut outgoing);
            let answer = ask(&retry, outgoing).await;
            Response::builder()
                .status(answer.status())
                .body(AxumBody::empty())
                .unwrap()
        }
    };
    serve(Router::new().route("/", any(handler))).await
}

/// How many calls reach a server that always fails, for one call at the front of three tiers.
async fn load(announces: bool) -> usize {
    let (seen, backend) = flaky(usize::MAX).await;
    let inner = tier(backend, retry(announces)).await;
    let outer = tier(inner, retry(announces)).await;
    let request = Request::get(format!("http://{outer}/")).body(Empty::new());
    let answer = ask(&retry(announces), request.unwrap()).await;
    assert_eq!(answer.status(), 503);
    seen.calls()
}

// proves: RB-11
#[tokio::test]
async fn retries_at_three_tiers_add_up_instead_of_multiplying() {
    // One, and three more from each tier.
    assert_eq!(load(true).await, 1 + 3 * 3);
    // As everywhere else: four attempts of four attempts of four.
    assert_eq!(load(false).await, 4 * 4 * 4);
}
