//! A real hyper server in front, so that its habits of dropping bodies are those that count.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::Verdict;
use buttress_http::{HttpExt, respond};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{Layer, service_fn};

use crate::support::{Ending, FAILURE, Ledger, SUCCESS, recorder, serve_hyper};

type Boxed = UnsyncBoxBody<Bytes, &'static str>;

fn boxed<B>(body: B) -> Boxed
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    body.map_err(|never| match never {}).boxed_unsync()
}

/// A body without any hints.
fn frames(parts: &'static [Result<&'static str, &'static str>]) -> Boxed {
    let frames = parts
        .iter()
        .map(|part| part.map(|data| Frame::data(Bytes::from(data))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

/// Gives one frame, and waits for ever after.
struct Endless(bool);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from("begun")))))
    }
}

struct Panicking;

impl Body for Panicking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("a body that panics")
    }
}

async fn handle(request: Request<Incoming>) -> Result<Response<Boxed>, Infallible> {
    let response = Response::builder();
    let response = match request.uri().path() {
        "/full" => response.body(boxed(Full::from("full"))),
        "/chunked" => response.body(frames(&[Ok("chunk"), Ok("ed")])),
        "/counted" => response
            .header("content-length", 7)
            .body(frames(&[Ok("coun"), Ok("ted")])),
        "/empty" => response.body(boxed(Empty::new())),
        "/no-content" => response
            .status(StatusCode::NO_CONTENT)
            .body(boxed(Empty::new())),
        "/not-modified" => response
            .status(StatusCode::NOT_MODIFIED)
            .body(frames(&[Ok("unsent")])),
        "/broken" => response
            .status(StatusCode::INTERNAL_SERVER_ERROR)
            .body(frames(&[Ok("500")])),
        "/cut" => response.body(frames(&[Ok("begun"), Err("cut off")])),
        "/panicking" => response.body(boxed(Panicking)),
        "/endless" => response.body(boxed(Endless(false))),
        "/endless-broken" => response
            .status(StatusCode::INTERNAL_SERVER_ERROR)
            .body(boxed(Endless(false))),
        path => unreachable!("{path}"),
    };
    Ok(response.unwrap())
}

async fn serve() -> (SocketAddr, Ledger) {
    let (layer, ledger) = recorder();
    (
        serve_hyper(respond(layer).layer(service_fn(handle))).await,
        ledger,
    )
}

/// Asks once, on a connection that closes after the answer, and reads all there is.
async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = send(address, method, path).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn send(address: SocketAddr, method: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn every_answer_that_is_sent_to_its_end_counts_as_its_head_says() {
    let (address, mut ledger) = serve().await;
    for (method, path, status, ending) in [
        ("GET", "/full", "200", SUCCESS),
        ("GET", "/chunked", "200", SUCCESS),
        ("GET", "/counted", "200", SUCCESS),
        ("GET", "/empty", "200", SUCCESS),
        ("GET", "/no-content", "204", SUCCESS),
        ("GET", "/not-modified", "304", SUCCESS),
        ("GET", "/broken", "500", FAILURE),
        ("HEAD", "/full", "200", SUCCESS),
        ("HEAD", "/chunked", "200", SUCCESS),
        ("HEAD", "/counted", "200", SUCCESS),
        ("HEAD", "/broken", "500", FAILURE),
    ] {
        let answer = ask(address, method, path).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{method} {path}: {answer}"
        );
        assert_eq!(ledger.next().await, ending, "{method} {path}");
        assert!(ledger.is_empty());
    }
}

#[tokio::test]
async fn a_body_that_fails_or_panics_is_a_failure() {
    let (address, mut ledger) = serve().await;
    for path in ["/cut", "/panicking"] {
        ask(address, "GET", path).await;
        assert_eq!(ledger.next().await, FAILURE, "{path}");
    }
}

/// A server-sent event stream is of this kind.
#[tokio::test]
async fn an_endless_answer_holds_its_slot_until_the_client_goes_away() {
    let (address, mut ledger) = serve().await;
    for (path, ending) in [
        ("/endless", Ending::Dropped),
        ("/endless-broken", Ending::Settled(Verdict::Failure)),
    ] {
        let mut stream = send(address, "GET", path).await;
        let mut read = Vec::new();
        while !read.ends_with(b"begun\r\n") {
            stream.read_buf(&mut read).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(ledger.is_empty(), "{path}");
        drop(stream);
        assert_eq!(ledger.next().await, ending, "{path}");
    }
}

#[tokio::test]
async fn until_headers_the_slot_is_free_while_the_answer_goes_on() {
    let (layer, mut ledger) = recorder();
    let service = respond(layer.until_headers()).layer(service_fn(handle));
    let address = serve_hyper(service).await;
    let _stream = send(address, "GET", "/endless").await;
    assert_eq!(ledger.next().await, SUCCESS);
}
