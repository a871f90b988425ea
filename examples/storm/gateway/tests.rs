//! Both gateways before an upstream that fails as it is told.

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
    /// A gateway whose upstreams answer the first `failing` attempts of each call with 503.
    async fn new(side: Side, failing: u64) -> Self {
        let tally = Tally::default();
        let upstream = upstream(failing).await;
        let ways = PerUpstream::from_fn(|_| Way {
            upstream,
            tally: tally.clone(),
        });
        let schedule = Schedule::new(Duration::from_secs(40));
        let gateway = match side {
            Side::Protected => Protected::new(Plan::new(schedule, 400)).router(&ways),
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
        let request = request.body(Body::empty()).unwrap();
        let answer: Response = self.gateway.clone().oneshot(request).await.unwrap();
        answer.status()
    }
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
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(any(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn both_send_a_call_again_that_fails_for_a_moment() {
    for side in Side::ALL {
        let stand = Stand::new(side, 3).await;
        assert_eq!(stand.call(Method::GET, 1).await, (StatusCode::OK, 4));
        let stand = Stand::new(side, 4).await;
        let failed = (StatusCode::SERVICE_UNAVAILABLE, 4);
        assert_eq!(stand.call(Method::GET, 1).await, failed, "{side:?}");
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
async fn what_hangs_is_cut_by_the_protected_one_and_answered_as_a_timeout() {
    // It accepts, as the kernel does that for it, and never answers.
    let hanging = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let way = Way {
        upstream: hanging.local_addr().unwrap(),
        tally: Tally::default(),
    };
    let schedule = Schedule::new(Duration::from_secs(40));
    let (plan, start) = (Plan::new(schedule, 400), Instant::now());
    let protected = Protected::new(plan);
    let gateway = protected.router(&PerUpstream::from_fn(|_| way.clone()));
    let request = from("client").body(Body::empty()).unwrap();
    let answer: Response = gateway.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    // Nothing was learned yet; and there is no time left for a second attempt.
    assert!(start.elapsed() >= plan.attempt_limit);
    let PerUpstream {
        inventory,
        payments,
    } = protected.timeouts(start);
    let cut = |history: &History| history.timed(Duration::ZERO..Duration::MAX).cut;
    assert_eq!((cut(&inventory), cut(&payments)), (0, 1));
}
