//! Answers over real sockets that go on for longer than their head may take.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress_core::{Reason, WidenLayer, find_rejection};
use buttress_http::{HttpExt, respond};
use buttress_timeout::AdaptiveTimeout;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::sleep;
use tower::{Layer, ServiceExt};

use super::{MS, SECOND};
use crate::support::{Connection, serve, soon};

/// So many pieces, one each 50 ms; then it is over, or nothing comes any more.
fn pieces(count: usize, ends: bool) -> Response<Body> {
    let pieces = stream::iter(0..count).then(|_| async {
        sleep(50 * MS).await;
        Ok::<_, Infallible>(Bytes::from_static(b"piece"))
    });
    let rest = if ends {
        stream::empty().boxed()
    } else {
        stream::pending().boxed()
    };
    Response::new(Body::from_stream(pieces.chain(rest)))
}

fn app() -> Router {
    Router::new()
        .route("/flowing", get(|| async { pieces(10, true) }))
        .route("/stalling", get(|| async { pieces(2, false) }))
        .route(
            "/hanging",
            get(|| async { std::future::pending::<Response<Body>>().await }),
        )
}

fn timeout(idle: Duration) -> AdaptiveTimeout {
    let builder = AdaptiveTimeout::builder("stream").fixed().head(100 * MS);
    builder.idle(idle).no_total().build()
}

#[tokio::test]
async fn a_server_lets_a_stream_go_on_that_moves_and_cuts_one_that_stalls() {
    let address = serve(app().layer(respond((timeout(SECOND).layer(),)))).await;
    let answer = Connection::open(address).await.ask("GET", "/flowing").await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 50));

    let stalling = timeout(200 * MS);
    let address = serve(app().layer(respond((stalling.layer(),)))).await;
    for http2 in [true, false] {
        let mut connection = if http2 {
            Connection::open_http2(address).await
        } else {
            Connection::open(address).await
        };
        let answer = connection.send("GET", "/stalling").await;
        assert_eq!(answer.status(), 200);
        let body = soon("the cut", answer.into_body().collect()).await;
        assert!(body.is_err(), "it looks like a whole one");
    }
    assert_eq!(stalling.snapshot().timed_out, 2);
    let answer = Connection::open(address).await.ask("GET", "/hanging").await;
    assert_eq!(answer.status(), 504);
}

#[tokio::test]
async fn a_client_does_the_same() {
    let address = serve(app()).await;
    let call = |path: &str, idle| {
        let hyper = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let client = (timeout(idle).layer().http(), WidenLayer).layer(hyper);
        let request = Request::get(format!("http://{address}{path}")).body(Empty::new());
        client.oneshot(request.unwrap())
    };
    let answer = call("/flowing", SECOND).await.unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes().len(),
        50
    );
    let answer = call("/stalling", 200 * MS).await.unwrap();
    let error = soon("the cut", answer.into_body().collect())
        .await
        .unwrap_err();
    assert_eq!(find_rejection(&*error).unwrap().reason(), Reason::TimedOut);
    let error = call("/hanging", SECOND).await.unwrap_err();
    assert!(
        matches!(error, buttress_core::Error::Rejected(rejected) if rejected.reason() == Reason::TimedOut)
    );
}
