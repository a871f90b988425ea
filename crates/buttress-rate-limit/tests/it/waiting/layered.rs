//! Calls that wait before a service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{Reason, Rejectable, WidenLayer};
use buttress_rate_limit::{Rate, RateLimit};
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt};

const MILLI: Duration = Duration::from_millis(1);

/// Is ready for as long as it is said to be, and counts its calls.
#[derive(Clone, Default)]
struct Fickle {
    is_busy: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
}

impl Service<()> for Fickle {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.is_busy.load(SeqCst) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.calls.fetch_add(1, SeqCst);
        ready(Ok(()))
    }
}

fn limit() -> RateLimit {
    RateLimit::builder("layered")
        .leaky_bucket(Rate::per_second(50))
        .max_wait(200 * MILLI)
        .build()
}

#[tokio::test(start_paused = true)]
async fn calls_reach_the_service_one_by_one() {
    let (limit, service) = (limit(), Fickle::default());
    let stack = ServiceBuilder::new()
        .layer(limit.waiting_layer())
        .layer(WidenLayer)
        .service(service.clone());
    let start = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..5 {
        calls.spawn(stack.clone().oneshot(()));
    }
    for call in 0..5 {
        calls.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(start.elapsed(), 20 * MILLI * call);
        assert_eq!(service.calls.load(SeqCst), call + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_after_the_wait_is_waited_for_no_longer_than_the_longest_wait()
{
    let (limit, service) = (limit(), Fickle::default());
    let mut stack = ServiceBuilder::new()
        .layer(limit.waiting_layer())
        .layer(WidenLayer)
        .service(service.clone());
    drop(limit.try_acquire());
    let start = Instant::now();
    let call = stack.ready().await.unwrap().call(());
    service.is_busy.store(true, SeqCst);
    let rejected = call.await.unwrap_err().rejection().unwrap();
    assert_eq!(rejected.reason(), Reason::Throttled);
    assert_eq!(start.elapsed(), 200 * MILLI);
    assert_eq!(service.calls.load(SeqCst), 0);
    // It had its units, and was refused after all.
    let snapshot = limit.snapshot();
    assert_eq!((snapshot.admitted_count, snapshot.refused_count), (1, 1));
}
