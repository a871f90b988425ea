//! What a retry does to the connections of its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::routing::any;
use axum::serve::ListenerExt;
use buttress::core::WidenLayer;
use buttress::{Backoff, Retry, RetryBudget};
use buttress_http::HttpExt;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};

/// Every other call fails, with a large answer.
async fn every_other(calls: Arc<AtomicUsize>) -> Response<AxumBody> {
    let mut response = Response::new(AxumBody::from(vec![b'.'; 100_000]));
    if calls.fetch_add(1, SeqCst).is_multiple_of(2) {
        *response.status_mut() = StatusCode::BAD_GATEWAY;
    }
    response
}

#[tokio::test]
async fn a_hundred_retries_of_large_errors_need_no_more_than_four_connections() {
    let (calls, connections) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::clone(&connections);
    let listener = listener.tap_io(move |_| {
        accepted.fetch_add(1, SeqCst);
    });
    let counted = Arc::clone(&calls);
    let app = Router::new().route("/", any(move || every_other(Arc::clone(&counted))));
    tokio::spawn(async move { axum::serve(listener, app).await });

    // Pays for each retry with the retry itself.
    let budget = RetryBudget::builder("large")
        .refund_successful_retries()
        .build();
    let retry = Retry::builder("large")
        .backoff(Backoff::constant(Duration::ZERO))
        .budget(&budget)
        .build();
    let client = ServiceBuilder::new()
        .layer(retry.layer().http())
        .layer(WidenLayer)
        .service(Client::builder(TokioExecutor::new()).build_http());
    for _ in 0..100 {
        let request = Request::get(format!("http://{address}/")).body(Empty::<Bytes>::new());
        let response = client.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes().len(), 100_000);
    }
    assert_eq!(calls.load(SeqCst), 200);
    assert_eq!(retry.snapshot().budget.total_retries, 100);
    let connections = connections.load(SeqCst);
    println!("{connections} connections");
    assert!(connections <= 4, "{connections} connections");
}
