//! A connection that is gone before a request is written to it gives the request back.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use buttress::retry::Stop;
use buttress_http::{HttpExt, Replayed};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::{Layer, Service, ServiceExt};

use super::{flaky, quick};

type Sent = Request<Replayed<Full<Bytes>>>;
type Connection = http1::SendRequest<Replayed<Full<Bytes>>>;

/// One connection after the other: the next one is used when the last is gone.
#[derive(Clone)]
struct Connections(Arc<Mutex<Vec<Connection>>>);

#[derive(Debug)]
struct Unsent(TrySendError<Sent>);

impl std::fmt::Display for Unsent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.error().fmt(f)
    }
}

impl std::error::Error for Unsent {}

type Error = buttress::Error<Unsent>;

impl Service<Sent> for Connections {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Sent) -> Self::Future {
        let mut connection = self.0.lock().unwrap().pop().unwrap();
        Box::pin(async move {
            let answer = connection.try_send_request(request).await;
            answer.map_err(|error| buttress::Error::Inner(Unsent(error)))
        })
    }
}

async fn connect(address: SocketAddr) -> (Connection, tokio::task::JoinHandle<()>) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http1::handshake(stream).await.unwrap();
    let driver = tokio::spawn(async move { drop(connection.await) });
    (sender, driver)
}

fn take(error: &mut Error) -> Option<Sent> {
    match error {
        buttress::Error::Inner(Unsent(error)) => error.take_message(),
        buttress::Error::Rejected(_) => None,
    }
}

/// A POST, and far longer than what is kept.
// proves: RB-4, RB-5
#[tokio::test]
async fn a_request_that_hyper_gives_back_is_sent_again_whatever_it_is() {
    for recovers in [true, false] {
        let (seen, address) = flaky(0).await;
        let (healthy, _driver) = connect(address).await;
        let (gone, driver) = connect(address).await;
        driver.abort();
        driver.await.unwrap_err();
        let connections = Connections(Arc::new(Mutex::new(vec![healthy, gone])));
        let body = Bytes::from(vec![7; 1_000_000]);
        let request = Request::post("/").header("host", "inventory");
        let request = request.body(Full::from(body.clone())).unwrap();
        let retry = quick("inventory");
        if !recovers {
            let stack = retry.layer().http().layer(connections);
            stack.oneshot(request).await.unwrap_err();
            assert_eq!(retry.snapshot().stopped(Stop::NotRepeatable), 1);
            continue;
        }
        let stack = retry.layer().http().recover(take).layer(connections);
        let answer = stack.oneshot(request).await.unwrap();
        let answer = answer.into_body().collect().await.unwrap();
        assert_eq!((answer.to_bytes(), seen.calls()), (body, 1));
        assert_eq!(retry.snapshot().budget.total_retries, 1);
    }
}
