//! Both gateways before an upstream that fails as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use axum::routing::any;
use http::{HeaderMap, Method, Request, StatusCode, request};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tower::ServiceExt;

use super::plan::Plan;
use super::*;
use crate::attempts::Tally;
use crate::clients::CLIENT_HEADER;
use crate::gateway::protected::Protected;
use crate::levels::Level;
use crate::load::call::Outcome;
use crate::schedule::Schedule;
use crate::stage::PerUpstream;
use crate::timeouts::History;
use crate::upstream::{ATTEMPT_HEADER, CALL_HEADER, number};

/// A gateway, and how often it sent each call on.
struct Stand {
    gateway: Router,
    tally: Tally,
}

impl Stand {
    /// A gateway whose upstreams answer the first `failing` attempts of each call with 503; their replicas
    /// are dead.
    async fn new(side: Side, failing: u64) -> Self {
        let tally = Tally::default();
        let ways = ways(upstream(failing).await, &tally);
        let replicas = ways_of_nobody().await;
        let schedule = Schedule::new(Duration::from_secs(40));
        let gateway = match side {
            Side::Protected => Protected::new(Plan::new(schedule, 400)).router(&ways, &replicas),
            Side::Bare => bare::router(&ways),
        };
        Self { gateway, tally }
    }

    /// Makes a call, each by a client of its own; gives its answer and how often it was sent on.
    async fn call(&self, method: Method, call: u64) -> (StatusCode, u8) {
        let request = from(&format!("client-{call}")).method(method);
        let request = request.header(CALL_HEADER, call);
        (self.answer(request).await, self.tally.of(call))
    }

    async fn answer(&self, request: request::Builder) -> StatusCode {
        ask(&self.gateway, request).await.status()
    }
}

async fn ask(gateway: &Router, request: request::Builder) -> Response {
    let request = request.body(Body::empty()).unwrap();
    gateway.clone().oneshot(request).await.unwrap()
}

fn outcome(answer: &Response) -> Outcome {
    Outcome::of(answer.status(), answer.headers())
}

/// The same way to either upstream.
fn ways(upstream: SocketAddr, tally: &Tally) -> PerUpstream<Way> {
    PerUpstream::from_fn(|_| Way {
        upstream,
        tally: tally.clone(),
    })
}

/// Ways to a port that nobody listens on.
async fn ways_of_nobody() -> PerUpstream<Way> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    ways(listener.local_addr().unwrap(), &Tally::default())
}

fn from(client: &str) -> request::Builder {
    Request::get("/payments").header(CLIENT_HEADER, client)
}

async fn upstream(failing: u64) -> SocketAddr {
    let answer = move |headers: HeaderMap| async move {
        match number(&headers, ATTEMPT_HEADER) {
            Some(attempt) if attempt >= failing => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    };
    listen(Router::new().fallback(any(answer))).await
}

/// An upstream that fails from the moment it is told to.
async fn upstream_while(well: &Arc<AtomicBool>) -> SocketAddr {
    let well = Arc::clone(well);
    let answer = move || async move {
        match well.load(SeqCst) {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        }
    };
    listen(Router::new().fallback(any(answer))).await
}

async fn listen(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn both_send_a_call_again_that_fails_for_a_moment() {
    for side in Side::ALL {
        let stand = Stand::new(side, 3).await;
        assert_eq!(stand.call(Method::GET, 1).await, (StatusCode::OK, 4));
        let stand = Stand::new(side, 4).await;
        let given_up = match side {
            // It has a default.
            Side::Protected => StatusCode::OK,
            Side::Bare => StatusCode::SERVICE_UNAVAILABLE,
        };
        assert_eq!(stand.call(Method::GET, 1).await, (given_up, 4), "{side:?}");
    }
}

#[tokio::test]
async fn only_the_protected_one_leaves_alone_what_must_not_be_repeated() {
    let stand = Stand::new(Side::Protected, 1).await;
    let failed = (StatusCode::SERVICE_UNAVAILABLE, 1);
    assert_eq!(stand.call(Method::POST, 1).await, failed);
    let stand = Stand::new(Side::Bare, 1).await;
    assert_eq!(stand.call(Method::POST, 1).await, (StatusCode::OK, 2));
}

#[tokio::test]
async fn an_upstream_that_always_fails_is_spared_by_the_budget_and_then_by_the_breaker() {
    let stand = Stand::new(Side::Protected, u64::MAX).await;
    let mut attempts = Vec::new();
    for call in 0..30 {
        attempts.push(stand.call(Method::GET, call).await.1);
    }
    // Three retries to begin with, twenty failures in a row, and a refusal is not tried again.
    let expected = [vec![4], vec![1; 16], vec![0; 13]].concat();
    assert_eq!(attempts, expected);
    let stand = Stand::new(Side::Bare, u64::MAX).await;
    for call in 0..30 {
        assert_eq!(stand.call(Method::GET, call).await.1, 4);
    }
}

#[tokio::test]
async fn only_the_protected_one_turns_away_a_client_that_calls_too_often_and_nobody_else() {
    for (side, let_in) in [(Side::Protected, 30), (Side::Bare, 200)] {
        let (stand, start) = (Stand::new(side, 0).await, Instant::now());
        let (mut served, mut limited) = (0, 0);
        for call in 0..200 {
            match stand.answer(from("greedy").header(CALL_HEADER, call)).await {
                StatusCode::OK => served += 1,
                StatusCode::TOO_MANY_REQUESTS => limited += 1,
                other => panic!("{other}"),
            }
        }
        // Six more come with each second.
        let more = start.elapsed().as_secs_f64() * 6.0;
        let most = let_in + more as usize;
        assert!((let_in..=most).contains(&served), "{served}, {side:?}");
        assert_eq!(served + limited, 200);
        assert_eq!(stand.call(Method::GET, 1_000).await, (StatusCode::OK, 1));
    }
}

#[tokio::test]
async fn only_the_protected_one_turns_away_who_does_not_say_who_it_is() {
    for (side, expected) in [
        (Side::Protected, StatusCode::TOO_MANY_REQUESTS),
        (Side::Bare, StatusCode::OK),
    ] {
        let stand = Stand::new(side, 0).await;
        assert_eq!(
            stand
                .answer(Request::get("/payments").header(CALL_HEADER, 1))
                .await,
            expected
        );
    }
}

#[tokio::test]
async fn what_hangs_is_cut_by_the_protected_one_and_answered_as_a_timeout_or_by_another_level() {
    // It accepts, as the kernel does that for it, and never answers.
    let hanging = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let ways = ways(hanging.local_addr().unwrap(), &Tally::default());
    let schedule = Schedule::new(Duration::from_secs(40));
    let (plan, start) = (Plan::new(schedule, 400), Instant::now());
    let protected = Protected::new(plan);
    let gateway = protected.router(&ways, &ways_of_nobody().await);
    let answer = ask(&gateway, from("client").method(Method::POST)).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    // Nothing was learned yet; and there is no time left for a second attempt.
    assert!(start.elapsed() >= plan.attempt_limit);
    let PerUpstream {
        inventory,
        payments,
    } = protected.timeouts(start);
    let cut = |history: &History| history.timed(Duration::ZERO..Duration::MAX).cut;
    assert_eq!((cut(&inventory), cut(&payments)), (0, 1));
    let answer = ask(&gateway, from("client")).await;
    assert_eq!(outcome(&answer), Outcome::Degraded(Level::Default));
}

/// Asks for an item of payments.
async fn outcome_of(gateway: &Router, path: &str, item: u32) -> Outcome {
    let request = Request::get(format!("{path}?item={item}"));
    let request = request
        .header(CLIENT_HEADER, item)
        .header(CALL_HEADER, item);
    outcome(&ask(gateway, request).await)
}

#[tokio::test]
async fn a_killed_upstream_is_answered_for_at_once_by_its_replica_then_from_the_cache_then_by_default()
 {
    let schedule = Schedule::new(Duration::from_secs(40));
    let protected = Protected::new(Plan::new(schedule, 400));
    let tally = Tally::default();
    let (alive, dead) = (ways(upstream(0).await, &tally), ways_of_nobody().await);
    let well = protected.router(&alive, &alive);
    assert_eq!(outcome_of(&well, "/payments", 1).await, Outcome::Served);
    let killed = protected.router(&dead, &alive);
    let start = Instant::now();
    let replica = Outcome::Degraded(Level::Replica);
    assert_eq!(outcome_of(&killed, "/payments", 2).await, replica);
    assert!(start.elapsed() < Duration::from_secs(1), "{start:?}");
}

#[tokio::test]
async fn what_was_kept_is_given_to_whoever_asks_for_the_same_and_never_to_a_checkout() {
    let schedule = Schedule::new(Duration::from_secs(40));
    let protected = Protected::new(Plan::new(schedule, 400));
    let well = Arc::new(AtomicBool::new(true));
    let ways = ways(upstream_while(&well).await, &Tally::default());
    let gateway = protected.router(&ways, &ways_of_nobody().await);
    let of = async |path, item| outcome_of(&gateway, path, item).await;
    for path in ["/payments", "/checkout/payments"] {
        assert_eq!(of(path, 1).await, Outcome::Served);
    }
    well.store(false, SeqCst);
    let kept = Outcome::Degraded(Level::LocalCache);
    let default = Outcome::Degraded(Level::Default);
    assert_eq!(of("/payments", 1).await, kept);
    assert_eq!(of("/payments", 2).await, default);
    assert_eq!(of("/checkout/payments", 1).await, default);
}
