//! Which errors of a real client promise that the request was never looked at.

use std::net::SocketAddr;

use buttress_core::{Again, Classify, Error, WidenLayer};
use buttress_http::{ByStatus, HttpExt};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};

use crate::support::{FAILURE, recorder, spawn};

#[cfg(feature = "hyper-util")]
type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn again(error: &Error<ClientError>) -> Again {
    Classify::<Response<Incoming>, _>::again(&ByStatus, Err(error))
}

/// What the classifier says of the error that a call to this address ends with.
async fn again_after(http2: bool, address: SocketAddr) -> Again {
    let (layer, mut ledger) = recorder();
    let client = Client::builder(TokioExecutor::new())
        .http2_only(http2)
        .build_http();
    let client = ServiceBuilder::new()
        .layer(layer.http())
        .layer(WidenLayer)
        .service(client);
    let request = Request::post(format!("http://{address}/")).body(Empty::<Bytes>::new());
    let error = client.oneshot(request.unwrap()).await.unwrap_err();
    assert_eq!(ledger.next().await, FAILURE);
    again(&error)
}

#[tokio::test]
async fn a_connection_that_was_never_made_has_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(again_after(false, closed).await, Again::NotSent);
}

#[tokio::test]
async fn a_connection_that_breaks_may_have_sent_everything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let breaking = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
    };
    let server = spawn(breaking);
    assert_eq!(again_after(false, address).await, Again::Yes);
    server.await.unwrap();
}

/// The error of a call through a connector that fails like this.
#[cfg(feature = "hyper-util")]
async fn error_of_a_connector<F, E>(error: F) -> Error<ClientError>
where
    F: Fn() -> E + Clone + Send + Sync + 'static,
    E: Into<BoxError> + Send + 'static,
{
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpStream;

    let connector = tower::service_fn(move |_: http::Uri| {
        std::future::ready(Err::<TokioIo<TcpStream>, E>(error()))
    });
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let client = ServiceBuilder::new().layer(WidenLayer).service(client);
    let request = Request::builder()
        .uri("http://nowhere/")
        .body(Empty::<Bytes>::new());
    client.oneshot(request.unwrap()).await.unwrap_err()
}

/// Why there is no connection, no I/O error tells here: only the client knows that it never got that far.
#[cfg(feature = "hyper-util")]
#[tokio::test]
async fn a_connector_that_fails_has_sent_nothing() {
    let error = error_of_a_connector(|| std::io::Error::other("no such name")).await;
    assert_eq!(again(&error), Again::NotSent);
}

/// A time limit stands around the connector: what it ends was never sent, and still is a failure of the other side.
#[cfg(feature = "hyper-util")]
#[tokio::test]
async fn a_connector_that_runs_out_of_its_time_has_sent_nothing() {
    use buttress_core::{Name, Reason, Rejectable, Rejected, Verdict};

    fn verdict(error: &Error<ClientError>) -> Verdict {
        Classify::<Response<Incoming>, _>::classify(&ByStatus, Err(error))
    }
    let rejected = Rejected::new(Reason::TimedOut, Name::new("connection"));
    let boxed = move || BoxError::reject(rejected);
    let widened = move || Error::<std::io::Error>::Rejected(rejected);
    for error in [
        error_of_a_connector(boxed).await,
        error_of_a_connector(widened).await,
    ] {
        assert_eq!(error.rejection(), Some(rejected));
        assert_eq!(again(&error), Again::NotSent);
        assert_eq!(verdict(&error), Verdict::Failure);
    }
    let full = Rejected::new(Reason::Overloaded, Name::new("connections"));
    let error = error_of_a_connector(move || full).await;
    assert_eq!(
        (verdict(&error), again(&error)),
        (Verdict::Neutral, Again::No)
    );
}

#[cfg(feature = "h2")]
#[tokio::test]
async fn a_stream_that_the_server_refuses_was_not_looked_at() {
    for (reason, expected) in [
        (h2::Reason::REFUSED_STREAM, Again::NotSent),
        (h2::Reason::INTERNAL_ERROR, Again::Yes),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refusing = async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                answer.send_reset(reason);
            }
        };
        spawn(refusing);
        assert_eq!(again_after(true, address).await, expected, "{reason:?}");
    }
}
