//! A real hyper client inside, whose bodies users read in part, or not at all.

use std::convert::Infallible;
use std::fmt::Debug;
use std::net::SocketAddr;

use buttress_core::WidenLayer;
use buttress_http::HttpExt;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{Ending, FAILURE, SUCCESS, recorder, serve_hyper};

type Boxed = UnsyncBoxBody<Bytes, Infallible>;

const LARGE: usize = 1 << 20;

/// `/200/full`: the status, and whether the length of the body is known.
async fn upstream(request: Request<Incoming>) -> Result<Response<Boxed>, Infallible> {
    let mut path = request.uri().path().split('/').skip(1);
    let (status, kind) = (path.next().unwrap(), path.next().unwrap());
    let large = Bytes::from(vec![b'.'; LARGE]);
    let body = match kind {
        "full" => Full::new(large).boxed_unsync(),
        "chunked" => {
            let chunks = [large.slice(..LARGE / 2), large.slice(LARGE / 2..)];
            let frames = chunks.map(|chunk| Ok(Frame::data(chunk)));
            StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
        }
        "empty" => Empty::new().boxed_unsync(),
        kind => unreachable!("{kind}"),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status.parse::<StatusCode>().unwrap();
    Ok(response)
}

fn request(method: &str, address: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    request.body(Empty::new()).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Nothing,
    Half,
    ToTheEnd,
}

impl Read {
    /// Reads so much, and drops the rest.
    async fn of<B: Body<Data = Bytes, Error: Debug> + Unpin>(self, mut body: B) {
        match self {
            Self::Nothing => {}
            Self::Half => drop(body.frame().await.unwrap().unwrap()),
            Self::ToTheEnd => assert_eq!(body.collect().await.unwrap().to_bytes().len(), LARGE),
        }
    }
}

#[tokio::test]
async fn an_answer_counts_by_how_much_of_it_was_read() {
    use Read::{Half, Nothing, ToTheEnd};

    let address = serve_hyper(service_fn(upstream)).await;
    let (layer, mut ledger) = recorder();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut client = ServiceBuilder::new()
        .layer(layer.http())
        .layer(WidenLayer)
        .service(client);
    for (method, path, read, ending) in [
        ("GET", "/200/full", ToTheEnd, SUCCESS),
        ("GET", "/200/full", Half, Ending::Dropped),
        ("GET", "/200/full", Nothing, SUCCESS),
        ("GET", "/200/chunked", ToTheEnd, SUCCESS),
        ("GET", "/200/chunked", Half, Ending::Dropped),
        ("GET", "/200/chunked", Nothing, SUCCESS),
        ("GET", "/200/empty", Nothing, SUCCESS),
        ("GET", "/204/empty", Nothing, SUCCESS),
        ("HEAD", "/200/full", Nothing, SUCCESS),
        ("GET", "/500/full", ToTheEnd, FAILURE),
        ("GET", "/500/full", Half, FAILURE),
        ("GET", "/500/chunked", Half, FAILURE),
        ("GET", "/500/full", Nothing, FAILURE),
        ("HEAD", "/500/full", Nothing, FAILURE),
        ("GET", "/404/full", Nothing, SUCCESS),
    ] {
        let call = client
            .ready()
            .await
            .unwrap()
            .call(request(method, address, path));
        read.of(call.await.unwrap().into_body()).await;
        assert_eq!(
            ledger.next().await,
            ending,
            "{method} {path}, read: {read:?}"
        );
    }
    assert!(ledger.is_empty());
}

/// What a full answer ends with is known at its last byte; nobody has to read on.
#[tokio::test]
async fn the_slot_is_free_at_the_last_byte() {
    let address = serve_hyper(service_fn(upstream)).await;
    let (layer, mut ledger) = recorder();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let client = ServiceBuilder::new()
        .layer(layer.http())
        .layer(WidenLayer)
        .service(client);
    let answer = client
        .oneshot(request("GET", address, "/200/full"))
        .await
        .unwrap();
    let mut body = answer.into_body();
    let mut read = 0;
    while read < LARGE {
        assert!(ledger.is_empty(), "after {read} bytes");
        read += body
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap()
            .len();
    }
    assert_eq!(ledger.next().await, SUCCESS);
    drop(body);
    assert!(ledger.is_empty());
}
