//! Rate limits among other layers: what each makes of the other's refusals, and what a call holds while it waits in line.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use buttress::{
    Backoff, Bulkhead, CircuitBreaker, Deadline, Error, Rate, RateLimit, Reason, Retry, WidenLayer,
};
use buttress_circuit_breaker::State;
use buttress_http::{HttpExt, respond, respond_grpc};
use buttress_timeout::AdaptiveTimeout;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// So many calls, which hardly come back while a test runs.
fn limit(burst: u32) -> RateLimit {
    let rate = Rate::per_hour(1).burst(burst);
    RateLimit::builder("limit").token_bucket(rate).build()
}

/// One call each 20 ms.
fn line() -> RateLimit {
    RateLimit::builder("line")
        .leaky_bucket(Rate::per_second(50))
        .build()
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("breaker")
        .consecutive_failures(1)
        .build()
}

/// Counts its calls and takes as long as it is told to.
#[derive(Clone, Default)]
struct Inner(Arc<AtomicU32>);

impl Inner {
    fn calls(&self) -> u32 {
        self.0.load(SeqCst)
    }

    fn service(
        &self,
    ) -> impl Service<Duration, Response = (), Error = io::Error, Future: Send> + Clone + use<>
    {
        let calls = Arc::clone(&self.0);
        service_fn(move |time| {
            calls.fetch_add(1, SeqCst);
            async move {
                sleep(time).await;
                Ok(())
            }
        })
    }
}

#[track_caller]
fn reason<T: std::fmt::Debug>(result: Result<T, Error<io::Error>>) -> Reason {
    match result {
        Err(Error::Rejected(rejected)) => rejected.reason(),
        result => panic!("it was not refused: {result:?}"),
    }
}

// === Gates ===

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_rate_limit_inside_does_not_open_a_breaker_outside() {
    let (breaker, limit, inner) = (breaker(), limit(2), Inner::default());
    let keyed = RateLimit::builder("by-key")
        .token_bucket(Rate::per_hour(1))
        .keyed()
        .build();
    let layers = (
        breaker.layer(),
        limit.layer(),
        keyed.by(|time: &Duration| Some(*time)),
        WidenLayer,
    );
    let service = layers.layer(inner.service());
    service.clone().oneshot(Duration::ZERO).await.unwrap();
    for _ in 0..100 {
        // First that of the key refuses, and then the one that is for all.
        let refused = service.clone().oneshot(Duration::ZERO).await;
        assert_eq!(reason(refused), Reason::Throttled);
    }
    let snapshot = breaker.snapshot();
    assert_eq!(
        (
            snapshot.state,
            snapshot.success_count,
            snapshot.neutral_count
        ),
        (State::Closed, 1, 100)
    );
    assert_eq!(limit.snapshot().refused_count, 99);
    assert_eq!(keyed.snapshot().refused_count, 1);
    assert_eq!(inner.calls(), 1);
}

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    Ok(Response::new(Full::from("hello")))
}

/// Also when the refusal is an answer already, made by `respond`, and the breaker stands further out in the same process.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_an_answer_already_does_not_open_a_breaker_outside() {
    let (breaker, limit) = (breaker(), limit(1));
    let rendered = respond(breaker.layer()).layer(respond(limit.layer()).layer(service_fn(hello)));
    let statuses = [200, 429, 429];
    for status in statuses {
        let answer = rendered.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(answer.status(), status);
    }
    assert_eq!(breaker.snapshot().state, State::Closed);

    let inner = respond_grpc(limit.layer()).layer(service_fn(hello));
    let rendered = respond_grpc(breaker.layer()).layer(inner);
    for _ in 0..3 {
        let answer = rendered.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "8");
    }
    assert_eq!(breaker.snapshot().state, State::Closed);
    assert_eq!(breaker.snapshot().failure_count, 0);
}

#[tokio::test(start_paused = true)]
async fn a_weighted_call_that_an_open_breaker_or_a_full_bulkhead_refuses_costs_nothing() {
    let (breaker, limit) = (breaker(), limit(100));
    let bulkhead = Bulkhead::builder("full").max_concurrent(1).build();
    let weighted = limit.layer().cost(|_: &Duration| 10);
    let layers = (
        weighted,
        breaker.layer(),
        bulkhead.refusing_layer(),
        WidenLayer,
    );
    let service = layers.layer(Inner::default().service());
    service.clone().oneshot(MS).await.unwrap();
    assert_eq!(limit.quota().remaining, 90);

    let inside = bulkhead.try_acquire().unwrap();
    let refused = service.clone().oneshot(MS).await;
    assert_eq!(reason(refused), Reason::Overloaded);
    drop(inside);
    breaker.force_open();
    let refused = service.clone().oneshot(MS).await;
    assert_eq!(reason(refused), Reason::Unavailable);
    assert_eq!(limit.quota().remaining, 90, "nobody has worked for them");
}

/// Our own timeout cuts what has begun: whoever bills has worked.
#[tokio::test(start_paused = true)]
async fn a_weighted_call_that_a_timeout_inside_cuts_keeps_its_cost() {
    let (limit, timeout) = (limit(100), AdaptiveTimeout::fixed(SECOND));
    let weighted = limit.layer().cost(|_: &Duration| 10);
    let layers = (weighted, timeout.layer(), WidenLayer);
    let service = layers.layer(Inner::default().service());
    assert_eq!(reason(service.oneshot(2 * SECOND).await), Reason::TimedOut);
    assert_eq!(limit.quota().remaining, 90);
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_inside_is_empty_while_calls_wait_in_line_and_one_outside_is_full() {
    for outside in [false, true] {
        let (line, inner) = (line(), Inner::default());
        let bulkhead = Bulkhead::builder("room").max_concurrent(20).build();
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            let inner = inner.service();
            if outside {
                let layers = (bulkhead.layer(), line.waiting_layer(), WidenLayer);
                calls.spawn(layers.layer(inner).oneshot(MS));
            } else {
                let layers = (line.waiting_layer(), bulkhead.layer(), WidenLayer);
                calls.spawn(layers.layer(inner).oneshot(MS));
            }
        }
        sleep(10 * MS).await;
        assert_eq!((inner.calls(), line.snapshot().waiting), (1, 9));
        let held = if outside { 9 } else { 0 };
        assert_eq!(bulkhead.snapshot().active_calls, held);
        let ended = calls.join_all().await;
        assert!(ended.iter().all(Result::is_ok));
        assert_eq!(
            (bulkhead.snapshot().active_calls, line.snapshot().waiting),
            (0, 0)
        );
    }
}

// === Flows ===

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_outside_counts_and_a_refusal_ends_it() {
    let (limit, calls) = (limit(3), Arc::new(AtomicU32::new(0)));
    let retry = Retry::builder("retry")
        .retries(5)
        .backoff(Backoff::constant(MS))
        .build();
    let counted = Arc::clone(&calls);
    let failing = service_fn(move |()| {
        counted.fetch_add(1, SeqCst);
        std::future::ready(Err::<(), _>(io::Error::other("failed")))
    });
    let service = (retry.layer(), limit.layer(), WidenLayer).layer(failing);
    let ended = service.oneshot(()).await;
    assert_eq!(reason(ended), Reason::Throttled);
    assert_eq!(calls.load(SeqCst), 3, "its attempts are calls");
    assert_eq!(
        limit.snapshot().refused_count,
        1,
        "what we refuse is not sent again"
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_retry_outside_wait_in_line_each() {
    let (line, start) = (line(), Instant::now());
    let retry = Retry::builder("retry")
        .retries(3)
        .backoff(Backoff::constant(Duration::ZERO))
        .build();
    let failing = service_fn(|()| std::future::ready(Err::<(), _>(io::Error::other("failed"))));
    let service = (retry.layer(), line.waiting_layer(), WidenLayer).layer(failing);
    let ended = service.oneshot(()).await;
    assert!(matches!(ended, Err(Error::Inner(_))), "{ended:?}");
    assert_eq!(line.snapshot().admitted_count, 4);
    assert_eq!(start.elapsed(), 60 * MS);
}

#[tokio::test(start_paused = true)]
async fn one_call_is_one_however_often_a_retry_inside_sends_it() {
    let limit = limit(2);
    let retry = Retry::builder("retry")
        .retries(3)
        .backoff(Backoff::constant(Duration::ZERO))
        .build();
    let failing = service_fn(|()| std::future::ready(Err::<(), _>(io::Error::other("failed"))));
    let service = (limit.layer(), retry.layer(), WidenLayer).layer(failing);
    service.oneshot(()).await.unwrap_err();
    assert_eq!(limit.quota().remaining, 1);
}

// proves: RL-4
#[tokio::test(start_paused = true)]
async fn a_timeout_outside_cuts_a_wait_in_line_and_those_behind_move_up() {
    let (line, timeout, inner) = (line(), AdaptiveTimeout::fixed(50 * MS), Inner::default());
    let patient = (line.waiting_layer(), WidenLayer).layer(inner.service());
    let hasty = (timeout.layer(), line.waiting_layer(), WidenLayer).layer(inner.service());
    let start = Instant::now();
    let mut calls = JoinSet::new();
    // At 0 and 20 ms; three at 40 to 80, of which the last two leave at 50; and two behind them.
    for _ in 0..2 {
        calls.spawn(patient.clone().oneshot(Duration::ZERO));
        tokio::task::yield_now().await;
    }
    let mut cut = JoinSet::new();
    for _ in 0..3 {
        cut.spawn(hasty.clone().oneshot(Duration::ZERO));
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        calls.spawn(patient.clone().oneshot(Duration::ZERO));
        tokio::task::yield_now().await;
    }
    let cut = cut.join_all().await;
    assert_eq!(start.elapsed(), 50 * MS);
    assert_eq!(cut.iter().filter(|result| result.is_ok()).count(), 1);
    for result in cut.into_iter().filter(Result::is_err) {
        assert_eq!(reason(result), Reason::TimedOut);
    }
    assert_eq!(line.snapshot().waiting, 2);
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(start.elapsed(), 80 * MS, "as if those had never been there");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_turn_would_come_after_its_deadline_is_refused_at_once() {
    let line = line();
    let layers = (line.waiting_layer().http(), WidenLayer);
    let service = layers.layer(service_fn(hello));
    let ask = |left: Duration| {
        let mut request = Request::new(());
        let deadline = Deadline::after(Instant::now(), left);
        request.extensions_mut().insert(deadline);
        service.clone().oneshot(request)
    };
    ask(SECOND).await.unwrap();
    let start = Instant::now();
    let Err(Error::Rejected(rejected)) = ask(19 * MS).await else {
        panic!("it had 19 ms, and needed 20");
    };
    assert_eq!(rejected.reason(), Reason::DeadlineExceeded);
    assert_eq!(start.elapsed(), Duration::ZERO);
    ask(21 * MS).await.unwrap();
    assert_eq!(start.elapsed(), 20 * MS);
    let Err(Error::Rejected(rejected)) = ask(Duration::ZERO).await else {
        panic!("its deadline had passed");
    };
    assert_eq!(rejected.reason(), Reason::DeadlineExceeded);
    // A limit that refuses does not spend anything on such a call either.
    let limit = limit(1);
    let service = (limit.layer().http(), WidenLayer).layer(service_fn(hello));
    let mut late = Request::new(());
    late.extensions_mut()
        .insert(Deadline::after(Instant::now(), Duration::ZERO));
    service.oneshot(late).await.unwrap_err();
    assert_eq!(limit.quota().remaining, 1);
}

// === By key ===

/// A breaker for each host, a bulkhead for each tenant, a limit for each client, in one stack: what one of them does is no matter of
/// the others.
#[tokio::test(start_paused = true)]
async fn one_key_that_is_kept_out_leaves_the_others_alone() {
    #[derive(Clone, Copy)]
    struct Query {
        client: u8,
        tenant: u8,
        host: u8,
    }
    let breakers = CircuitBreaker::builder("hosts")
        .consecutive_failures(2)
        .keyed()
        .build();
    let bulkheads = Bulkhead::builder("tenants")
        .max_concurrent(1)
        .keyed()
        .build();
    let rate = Rate::per_hour(10);
    let limits = RateLimit::builder("clients")
        .token_bucket(rate)
        .keyed()
        .build();
    let layers = (
        limits.by(|query: &Query| Some(query.client)),
        bulkheads.refusing_by(|query: &Query| Some(query.tenant)),
        breakers.by(|query: &Query| Some(query.host)),
        WidenLayer,
    );
    let service = layers.layer(service_fn(|query: Query| async move {
        if query.host == 0 {
            return Err(io::Error::other("this host is down"));
        }
        Ok(())
    }));
    let ask = |client, tenant, host| {
        service.clone().oneshot(Query {
            client,
            tenant,
            host,
        })
    };
    for _ in 0..2 {
        assert!(matches!(ask(1, 1, 0).await, Err(Error::Inner(_))));
    }
    assert_eq!(reason(ask(2, 2, 0).await), Reason::Unavailable);
    let inside = bulkheads.get(&3).try_acquire().unwrap();
    assert_eq!(reason(ask(3, 3, 1).await), Reason::Overloaded);
    for _ in 0..10 {
        ask(4, 4, 1).await.unwrap();
    }
    assert_eq!(reason(ask(4, 4, 1).await), Reason::Throttled);
    ask(5, 5, 1).await.unwrap();

    drop(inside);
    ask(3, 3, 1).await.unwrap();
    assert_eq!(breakers.snapshot().states.open, 1);
    assert_eq!(breakers.snapshot().failure_count, 2);
    assert_eq!(bulkheads.snapshot().active_calls, 0);
    assert_eq!(limits.snapshot().keys, 5);
}
