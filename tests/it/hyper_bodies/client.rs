//! Around a client of hyper-util, whose users read answers in part, or not at all.

use std::net::SocketAddr;

use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::{CircuitBreaker, State};
use buttress_core::{Error, WidenLayer};
use buttress_http::{HttpExt, respond};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::support::{Counts, Guards, LARGE, bodies, eventually, serve, soon};

type HyperClient = Client<HttpConnector, Empty<Bytes>>;

fn hyper_client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

fn request(method: &str, address: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    let uri = format!("http://{address}{path}");
    let request = Request::builder().method(method).uri(uri);
    request.body(Empty::new()).unwrap()
}

/// A client of both components, as `ServiceBuilder` makes it.
macro_rules! guarded_client {
    ($guards:expr) => {
        ServiceBuilder::new()
            .layer($guards.layers().http())
            .layer(WidenLayer)
            .service(hyper_client())
    };
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Nothing,
    Half,
    ToTheEnd,
}

impl Read {
    async fn read<B>(self, mut body: B)
    where
        B: Body<Data = Bytes, Error: std::fmt::Debug> + Unpin,
    {
        match self {
            Self::Nothing => {}
            Self::Half => drop(soon("a frame", body.frame()).await.unwrap().unwrap()),
            Self::ToTheEnd => while let Some(Ok(_)) = soon("a frame", body.frame()).await {},
        }
    }
}

#[tokio::test]
async fn an_answer_counts_by_how_much_of_it_was_read() {
    use Read::{Half, Nothing, ToTheEnd};

    let address = serve(bodies()).await;
    let guards = Guards::new(1);
    let mut client = guarded_client!(guards);
    for (method, path, read, ending) in [
        ("GET", "/200/full", ToTheEnd, Counts::SUCCESS),
        ("GET", "/200/full", Half, Counts::NEUTRAL),
        ("GET", "/200/full", Nothing, Counts::SUCCESS),
        ("GET", "/200/chunked", ToTheEnd, Counts::SUCCESS),
        ("GET", "/200/chunked", Half, Counts::NEUTRAL),
        ("GET", "/200/chunked", Nothing, Counts::SUCCESS),
        ("GET", "/200/counted", ToTheEnd, Counts::SUCCESS),
        ("GET", "/200/counted", Half, Counts::NEUTRAL),
        ("GET", "/200/endless", Half, Counts::NEUTRAL),
        ("GET", "/200/cut", ToTheEnd, Counts::FAILURE),
        ("GET", "/200/empty", Nothing, Counts::SUCCESS),
        ("GET", "/204/empty", Nothing, Counts::SUCCESS),
        ("GET", "/404/full", Nothing, Counts::SUCCESS),
        ("HEAD", "/200/full", Nothing, Counts::SUCCESS),
        ("HEAD", "/200/full", ToTheEnd, Counts::SUCCESS),
        ("GET", "/500/full", ToTheEnd, Counts::FAILURE),
        ("GET", "/500/full", Half, Counts::FAILURE),
        ("GET", "/500/full", Nothing, Counts::FAILURE),
        ("GET", "/500/chunked", Nothing, Counts::FAILURE),
        ("GET", "/500/endless", Half, Counts::FAILURE),
        ("HEAD", "/500/full", Nothing, Counts::FAILURE),
    ] {
        let before = guards.counts();
        let call = client
            .ready()
            .await
            .unwrap()
            .call(request(method, address, path));
        let answer = soon("the head", call).await.unwrap();
        read.read(answer.into_body()).await;
        // On our side everything is over at once: nothing has to be waited for.
        assert_eq!(guards.active(), 0, "{method} {path}, read: {read:?}");
        let ended = guards.next_ending(before).await;
        assert_eq!(ended, ending, "{method} {path}, read: {read:?}");
    }
}

// proves: A-2
#[tokio::test]
async fn a_slot_is_held_until_the_last_byte_and_free_with_it() {
    let address = serve(bodies()).await;
    for path in ["/200/full", "/200/counted"] {
        let guards = Guards::new(1);
        let client = guarded_client!(guards);
        let answer = client
            .clone()
            .oneshot(request("GET", address, path))
            .await
            .unwrap();
        let mut body = answer.into_body();
        let mut read = 0;
        while read < LARGE {
            assert_eq!(guards.active(), 1, "{path}, {read} bytes read");
            let refused = client.clone().oneshot(request("GET", address, path)).await;
            assert!(matches!(refused, Err(Error::Rejected(_))));
            let frame = soon("a frame", body.frame()).await.unwrap().unwrap();
            read += frame.into_data().unwrap().len();
        }
        assert_eq!(guards.active(), 0, "{path}");
        assert_eq!(guards.counts(), Counts::SUCCESS, "{path}");
        drop(body);
        assert_eq!(guards.counts(), Counts::SUCCESS, "{path}");
    }
}

// proves: A-1
#[tokio::test]
async fn a_call_that_is_dropped_before_its_answer_says_nothing() {
    let address = serve(bodies()).await;
    let guards = Guards::new(1);
    let client = guarded_client!(guards);
    let call = tokio::spawn(
        client
            .clone()
            .oneshot(request("GET", address, "/200/silent")),
    );
    eventually(|| guards.active(), 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!((guards.active(), guards.counts()), (0, Counts::NEUTRAL));
}

#[tokio::test]
async fn answers_that_nobody_reads_open_the_breaker_when_they_are_failures() {
    let address = serve(bodies()).await;
    let breaker = CircuitBreaker::builder("upstream").build();
    let client = ServiceBuilder::new()
        .layer(breaker.layer().http())
        .layer(WidenLayer)
        .service(hyper_client());
    for _ in 0..5 {
        assert_eq!(breaker.snapshot().state, State::Closed);
        let answer = client
            .clone()
            .oneshot(request("GET", address, "/500/full"))
            .await;
        drop(answer.unwrap());
    }
    assert_eq!(breaker.snapshot().state, State::Open);
    let refused = client.oneshot(request("GET", address, "/200/full")).await;
    assert!(
        matches!(refused, Err(Error::Rejected(rejected)) if rejected.component() == breaker.name())
    );
}

#[tokio::test]
async fn a_closed_port_opens_the_breaker_and_the_error_stays_the_clients_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let breaker = CircuitBreaker::builder("upstream")
        .consecutive_failures(2)
        .build();
    let client = ServiceBuilder::new()
        .layer(breaker.layer().http())
        .layer(WidenLayer)
        .service(hyper_client());
    for _ in 0..2 {
        let error: Error<ClientError> = client
            .clone()
            .oneshot(request("GET", closed, "/"))
            .await
            .unwrap_err();
        assert!(error.into_inner().unwrap().is_connect());
    }
    assert_eq!(breaker.snapshot().state, State::Open);
}

/// Behind a hop a refusal is an answer like any other: the dependency is overloaded, and says for how long.
#[tokio::test]
async fn a_refusal_of_another_process_is_a_failure_here_and_its_hint_holds() {
    let bulkhead = Bulkhead::builder("theirs").retry_after(std::time::Duration::from_secs(300));
    let bulkhead = bulkhead.max_concurrent(1).build();
    let address = serve(bodies().layer(respond(bulkhead.refusing_layer()))).await;
    let _inside = bulkhead.try_acquire().unwrap();
    let breaker = CircuitBreaker::builder("ours")
        .consecutive_failures(1)
        .jitter(0.0)
        .build();
    let client = ServiceBuilder::new()
        .layer(breaker.layer().http())
        .layer(WidenLayer)
        .service(hyper_client());
    let answer = client
        .oneshot(request("GET", address, "/200/full"))
        .await
        .unwrap();
    assert_eq!(status_of(&answer), (503, Some("300")));
    Read::ToTheEnd.read(answer.into_body()).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.failure_count), (State::Open, 1));
    let open_for = snapshot.open_for.unwrap().as_secs_f64();
    assert!((295.0..=300.0).contains(&open_for), "open for {open_for} s");
}

fn status_of<B>(answer: &Response<B>) -> (u16, Option<&str>) {
    let hint = answer.headers().get("retry-after");
    (
        answer.status().as_u16(),
        hint.map(|hint| hint.to_str().unwrap()),
    )
}
