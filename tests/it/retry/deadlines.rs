//! Retries that would come too late, and what the layers below see of those that do not. On paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use buttress::core::{Deadline, Error, WidenLayer};
use buttress::retry::{Jitter, Stop};
use buttress::{Backoff, CircuitBreaker, Retry};
use buttress_http::HttpExt;
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn failing(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

/// However calls fail, how long they take and how long a retry waits: none starts after its deadline, nor when the fastest
/// answer that was seen could not come before it.
// proves: RB-8
#[tokio::test(start_paused = true)]
async fn no_attempt_starts_that_could_not_end_in_time() {
    let chance = Random::seeded(seed());
    let below = |bound: u64| chance.next_u64() % bound;
    let (late, retries) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
    for _ in 0..deep(200, 20_000) {
        let (takes, wait, left) = (1 + below(50), below(100), 1 + below(400));
        let deadline = Deadline::after(Instant::now(), ms(left));
        let counted = Arc::clone(&late);
        let service = service_fn(move |_: Request<_>| {
            let starts_late = deadline.remaining(Instant::now()) < ms(takes);
            let is_first = deadline.remaining(Instant::now()) == ms(left);
            counted.fetch_add(u64::from(starts_late && !is_first), SeqCst);
            async move {
                sleep(ms(takes)).await;
                Ok::<_, std::io::Error>(failing(StatusCode::BAD_GATEWAY))
            }
        });
        let backoff = Backoff::constant(ms(wait)).jitter(Jitter::None);
        let retry = Retry::builder("late").backoff(backoff).build();
        let stack = retry.layer().http().layer(WidenLayer.layer(service));
        let mut request = Request::new(Empty::<Bytes>::new());
        request.extensions_mut().insert(deadline);
        let answer = stack.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 502);
        let snapshot = retry.snapshot();
        retries.fetch_add(snapshot.budget.total_retries, SeqCst);
        assert_eq!(
            snapshot.stopped(Stop::Deadline) + snapshot.stopped(Stop::Attempts),
            1
        );
    }
    println!("{} retries", retries.load(SeqCst));
    assert!(retries.load(SeqCst) > 0, "nothing was ever retried");
    assert_eq!(late.load(SeqCst), 0, "attempts that could not end in time");
}

// proves: RB-9
#[tokio::test(start_paused = true)]
async fn each_attempt_counts_once_with_the_layers_below() {
    let retry = Retry::builder("counted").build();
    let breaker = CircuitBreaker::builder("counted").build();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<_>| {
        let failed = counted.fetch_add(1, SeqCst) < 2;
        let status = if failed { 503 } else { 200 };
        std::future::ready(Ok::<_, std::io::Error>(failing(
            StatusCode::from_u16(status).unwrap(),
        )))
    });
    let stack = ServiceBuilder::new()
        .layer(retry.layer().http())
        .layer(breaker.layer().http())
        .layer(WidenLayer)
        .service(service);
    let request = Request::new(Empty::<Bytes>::new());
    let answer = stack.clone().oneshot(request).await.unwrap();
    answer.into_body().collect().await.unwrap();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.failure_count, snapshot.success_count), (2, 1));

    // And a refusal is no attempt at all.
    breaker.force_open();
    let error = stack.oneshot(Request::new(Empty::<Bytes>::new())).await;
    assert!(matches!(error, Err(Error::Rejected(_))));
    assert_eq!(retry.snapshot().budget.total_retries, 2);
}
