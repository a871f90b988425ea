//! The bare gateway: what people write first.
//!
//! One concurrency limit that all routes share, one fixed timeout, and a refusal when the limit is
//! reached, stacked as the examples of axum and tower do it. Without the refusal, calls would wait
//! before the limit, where no timeout of tower sees them: while payments hangs, every call to
//! inventory would still be answered, seconds late.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::{BoxError, ServiceBuilder};

use super::forward::{HttpClient, client, redirect};
use crate::stage::{Class, PerUpstream, Upstream};

/// How many calls may be in the gateway at once, whichever upstream they are for.
pub const CONCURRENCY: usize = 64;

/// How long any call may take.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// The routes of the gateway, under the one limit and the one timeout.
pub fn router(upstreams: &PerUpstream<SocketAddr>) -> Router {
    let client = client();
    let mut routes = Router::new();
    for upstream in Upstream::ALL {
        let route = any(forward).with_state((client.clone(), *upstreams.of(upstream)));
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

async fn forward(
    State((client, upstream)): State<(HttpClient, SocketAddr)>,
    request: Request,
) -> Response {
    match client.request(redirect(request, upstream)).await {
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
