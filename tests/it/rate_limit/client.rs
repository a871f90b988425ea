//! Calls that go out: a line that paces them, and what a weighted call costs in the end, by what came of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::any;
use buttress::{Error, HttpExt, Rate, RateLimit, Reason, WidenLayer};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{eventually, serve, soon};

const MS: Duration = Duration::from_millis(1);
const INTERVAL: Duration = Duration::from_millis(20);

type HyperClient = Client<HttpConnector, Empty<Bytes>>;

fn hyper_client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

fn get(address: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    let request = Request::get(format!("http://{address}{path}"));
    request.body(Empty::new()).unwrap()
}

/// Answers with the status that stands in the path, and says what the call has cost where that stands there, too: `/200/7`.
fn server() -> Router {
    let answer = |Path((status, cost)): Path<(u16, String)>| async move {
        if status == 0 {
            std::future::pending::<()>().await;
        }
        let mut answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
        if cost.parse::<u32>().is_ok() {
            answer = answer.header("x-cost", cost);
        } else if cost == "later" {
            answer = answer.header("retry-after", "7");
        }
        answer.body(axum::body::Body::from("the answer")).unwrap()
    };
    Router::new().route("/{status}/{cost}", any(answer))
}

// === A line that paces ===

fn line() -> RateLimit {
    RateLimit::builder("partner")
        .leaky_bucket(Rate::per_second(50))
        .build()
}

/// On paused time, to the millisecond: however the calls come, they go out one by one.
// proves: RL-1, RL-2
#[tokio::test(start_paused = true)]
async fn calls_go_out_at_even_distances_however_they_come() {
    for (burst, pause) in [
        (1, 3 * MS),
        (10, 190 * MS),
        (100, Duration::ZERO),
        (3, 60 * MS),
        (1, 21 * MS),
    ] {
        let (line, sent) = (line(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&sent);
        let inner = service_fn(move |_: Request<()>| {
            noted.lock().unwrap().push(Instant::now());
            async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
        });
        let client = (line.waiting_layer().http(), WidenLayer).layer(inner);
        let (mut calls, mut came) = (Vec::new(), Vec::new());
        for n in 0..200 {
            came.push(Instant::now());
            calls.push(tokio::spawn(client.clone().oneshot(Request::new(()))));
            if n % burst == burst - 1 {
                sleep(pause).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let sent = sent.lock().unwrap();
        assert_eq!(sent.len(), 200);
        for (n, (came, pair)) in came[1..].iter().zip(sent.windows(2)).enumerate() {
            // As soon as it has come, and the distance is kept: never sooner, and never a timer's grain later.
            let due = (pair[0] + INTERVAL).max(*came);
            assert!(
                pair[1] >= due - 2 * MS && pair[1] <= due + 2 * MS,
                "{n}: {:?}",
                pair[1] - pair[0]
            );
        }
        // The distances add up: no grain of a timer is lost or won twice.
        let backlogged = burst > 1 && pause < burst * INTERVAL;
        if backlogged {
            let took = *sent.last().unwrap() - sent[0];
            assert!(
                took >= 199 * INTERVAL - 2 * MS && took <= 199 * INTERVAL + 2 * MS,
                "{took:?}"
            );
        }
    }
}

// proves: RL-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hyper_client_sends_no_faster_than_its_line_lets_it() {
    let line = line();
    let address = serve(server()).await;
    let client = ServiceBuilder::new()
        .layer(line.waiting_layer().http())
        .layer(WidenLayer)
        .service(hyper_client());
    let started = Instant::now();
    let calls = (0..25).map(|_| client.clone().oneshot(get(address, "/200/-")));
    for answer in soon("the answers", join_all(calls)).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    let took = started.elapsed();
    assert!(took >= 24 * INTERVAL - 2 * MS, "{took:?}");
    let snapshot = line.snapshot();
    assert_eq!((snapshot.admitted_count, snapshot.refused_count), (25, 0));
}

// proves: RL-4
#[tokio::test]
async fn a_call_that_is_given_up_in_line_is_never_sent() {
    let line = line();
    let address = serve(server()).await;
    let client = ServiceBuilder::new()
        .layer(line.waiting_layer().http())
        .layer(WidenLayer)
        .service(hyper_client());
    line.set_rate(Rate::per_hour(1)).unwrap();
    line.try_acquire().map(drop).unwrap();
    let calls = (0..10).map(|_| tokio::spawn(client.clone().oneshot(get(address, "/200/-"))));
    let calls: Vec<_> = calls.collect();
    // Its turn would come in hours, and it waits for half a minute at the most.
    for call in calls {
        let Err(Error::Rejected(rejected)) = call.await.unwrap() else {
            panic!("it was sent");
        };
        assert_eq!(rejected.reason(), Reason::Throttled);
        assert!(rejected.retry_after().unwrap() > Duration::from_secs(3000));
    }
    line.set_rate(Rate::per_second(1)).unwrap();
    let calls: Vec<_> = (0..10)
        .map(|_| tokio::spawn(client.clone().oneshot(get(address, "/200/-"))))
        .collect();
    eventually(|| line.snapshot().waiting >= 9, true).await;
    for call in &calls {
        call.abort();
    }
    eventually(|| line.snapshot().waiting, 0).await;
    let snapshot = line.snapshot();
    assert!(snapshot.admitted_count <= 2, "{snapshot:?}");
}

// === What a call has cost ===

const CAPACITY: u64 = 1_000;

/// A thousand tokens, which hardly come back while a test runs.
fn tokens() -> RateLimit {
    let rate = Rate::per_hour(1).burst(1_000);
    RateLimit::builder("tokens").token_bucket(rate).build()
}

/// A client whose calls weigh 100, unless the answer says something else.
macro_rules! weighing_client {
    ($limit:expr) => {
        ServiceBuilder::new()
            .layer(
                $limit
                    .cost(|_: &Request<Empty<Bytes>>| 100)
                    .actual(|answer: &Response<Incoming>| {
                        answer.headers().get("x-cost")?.to_str().ok()?.parse().ok()
                    })
                    .http(),
            )
            .layer(WidenLayer)
            .service(hyper_client())
    };
}

/// Makes a call by both kinds of layer, and tells what each has cost in the end.
async fn costs(address: SocketAddr, path: &str) -> Vec<u64> {
    let mut costs = Vec::new();
    let limit = tokens();
    let answer = weighing_client!(limit.layer())
        .oneshot(get(address, path))
        .await;
    if let Ok(answer) = answer {
        answer.into_body().collect().await.unwrap();
    }
    costs.push(CAPACITY - limit.quota().remaining);

    let limit = tokens();
    drop(
        weighing_client!(limit.waiting_layer())
            .oneshot(get(address, path))
            .await,
    );
    costs.push(CAPACITY - limit.quota().remaining);

    let limit = RateLimit::builder("by-host")
        .token_bucket(Rate::per_hour(1).burst(1_000))
        .keyed()
        .build();
    let by_host = limit
        .by(|request: &Request<Empty<Bytes>>| request.uri().authority().map(ToString::to_string));
    drop(weighing_client!(by_host).oneshot(get(address, path)).await);
    costs.push(CAPACITY - limit.quota(&address.to_string()).remaining);
    costs
}

// proves: A-1
#[tokio::test]
async fn a_call_costs_what_its_answer_says_and_nothing_when_nobody_worked_for_it() {
    let address = serve(server()).await;
    for (path, cost) in [
        ("/200/-", 100),
        ("/200/7", 7),
        ("/200/0", 0),
        ("/200/450", 450),
        ("/404/-", 100),
        ("/500/-", 100),
        ("/503/-", 100),
        ("/503/later", 0),
        ("/429/-", 0),
        ("/429/later", 0),
        // What a refusal says that it has cost does not matter.
        ("/429/450", 0),
    ] {
        assert_eq!(costs(address, path).await, [cost; 3], "{path}");
    }
}

// proves: A-1
#[tokio::test]
async fn a_call_that_was_never_sent_costs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(costs(closed, "/200/-").await, [0; 3]);
    // Not even if there is no more than that.
    let limit = tokens();
    let client = weighing_client!(limit.layer());
    for _ in 0..50 {
        let error = client
            .clone()
            .oneshot(get(closed, "/200/-"))
            .await
            .unwrap_err();
        assert!(error.into_inner().unwrap().is_connect());
    }
    assert_eq!(limit.quota().remaining, CAPACITY);
}

/// It may have been sent, and whoever bills bills it; whatever comes of it, nobody listens any more.
#[tokio::test]
async fn a_call_that_is_dropped_keeps_its_cost() {
    let address = serve(server()).await;
    let limit = tokens();
    let client = weighing_client!(limit.layer());
    let call = tokio::spawn(client.clone().oneshot(get(address, "/0/-")));
    eventually(|| limit.quota().remaining, 900).await;
    sleep(20 * MS).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(limit.quota().remaining, 900);
    // In line nothing is spent yet, and a dropped call has cost nothing.
    let waiting = weighing_client!(limit.waiting_layer());
    let rest = limit.try_acquire_many(900).unwrap();
    let call = tokio::spawn(waiting.oneshot(get(address, "/200/-")));
    // Its turn comes in a hundred hours: too late.
    let ended = call.await.unwrap();
    assert!(matches!(ended, Err(Error::Rejected(_))));
    rest.give_back();
    assert_eq!(limit.quota().remaining, 900);
}

/// What a call has cost beyond its estimate is owed: those that come later wait for it, and no more than once the capacity.
#[tokio::test]
async fn what_calls_have_cost_beyond_their_estimates_is_owed() {
    let address = serve(server()).await;
    let limit = tokens();
    let mut client = weighing_client!(limit.layer());
    for path in ["/200/900", "/200/900"] {
        client
            .ready()
            .await
            .unwrap()
            .call(get(address, path))
            .await
            .unwrap();
    }
    let error = client.oneshot(get(address, "/200/1")).await.unwrap_err();
    let Error::Rejected(rejected) = error else {
        panic!("800 are owed: {error:?}");
    };
    let hours = rejected.retry_after().unwrap().as_secs_f64() / 3600.0;
    assert!((899.9..=900.0).contains(&hours), "{hours}");
}
