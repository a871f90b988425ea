//! The bare gateway: what people write first.
//!
//! A loop that sends up to three times more what fails, one concurrency limit that all routes share,
//! one fixed timeout, and a refusal when the limit is reached, stacked as the examples of axum and
//! tower do it. Without the refusal, calls would wait
//! before the limit, where no timeout of tower sees them: while payments hangs, every call to
//! inventory would still be answered, seconds late.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use http::request::Parts;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::{BoxError, ServiceBuilder};

use super::forward::{HttpClient, Way, client};
use crate::stage::{Class, PerUpstream, Upstream};

/// How many calls may be in the gateway at once, whichever upstream they are for.
pub const CONCURRENCY: usize = 64;

/// How often a call that fails is sent again, at once.
pub const RETRIES: u32 = 3;

/// How long any call may take, its retries included.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// The routes of the gateway, under the one limit and the one timeout.
pub fn router(ways: &PerUpstream<Way>) -> Router {
    let client = client();
    let mut routes = Router::new();
    for upstream in Upstream::ALL {
        let route = any(forward).with_state((client.clone(), ways.of(upstream).clone()));
        for class in Class::ALL {
            routes = routes.route(class.path(upstream), route.clone());
        }
    }
    routes.layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(explain))
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(CONCURRENCY))
            .layer(TimeoutLayer::new(TIMEOUT)),
    )
}

/// Calls until an answer is no server error, or the last try was made.
async fn forward(
    State((client, way)): State<(HttpClient<Body>, Way)>,
    request: Request,
) -> Response {
    // Its callers send GETs: there is no body to keep.
    let (head, _) = request.into_parts();
    let mut answer = attempt(&client, &way, head.clone()).await;
    for _ in 0..RETRIES {
        if !answer.status().is_server_error() {
            break;
        }
        answer = attempt(&client, &way, head.clone()).await;
    }
    answer
}

async fn attempt(client: &HttpClient<Body>, way: &Way, head: Parts) -> Response {
    let attempt = Request::from_parts(head, Body::empty());
    match client.request(way.take(attempt)).await {
        Ok(response) => response.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn explain(error: BoxError) -> StatusCode {
    if error.is::<Elapsed>() {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
