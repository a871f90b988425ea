//! Services that are not ready, and answers that are in the way of that.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::Verdict;
use buttress_retry::{Backoff, Jitter, Retry, Stop};
use buttress_sync::Mutex;
use tokio::time::{Instant, timeout};
use tower::{Layer, Service, ServiceExt};

use super::SECOND;

/// Has one place, which an answer holds until it is dropped.
#[derive(Clone, Default)]
struct OnePlace {
    place: Arc<Place>,
    permit: Option<Arc<()>>,
}

#[derive(Default)]
struct Place {
    /// Held twice while somebody is inside.
    token: Arc<()>,
    calls: Mutex<u32>,
}

/// Whoever has it is inside.
#[derive(Debug)]
struct Inside(#[expect(dead_code, reason = "it is held, and no more")] Arc<()>);

impl Service<u32> for OnePlace {
    type Response = Inside;
    type Error = std::io::Error;
    type Future = Ready<Result<Inside, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        if self.permit.is_none() {
            if Arc::strong_count(&self.place.token) > 1 {
                return Poll::Pending;
            }
            self.permit = Some(Arc::clone(&self.place.token));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        *self.place.calls.lock() += 1;
        ready(Ok(Inside(self.permit.take().unwrap_or_default())))
    }
}

/// Every answer is a failure.
fn failure(_: Result<&Inside, &std::io::Error>) -> Verdict {
    Verdict::Failure
}

fn retry(wait: Duration) -> Retry {
    let backoff = Backoff::constant(wait).jitter(Jitter::None);
    Retry::builder("one-place").backoff(backoff).build()
}

/// With the answer still in hand the call would wait for itself for ever.
#[tokio::test(start_paused = true)]
async fn an_answer_that_holds_what_the_next_attempt_needs_is_dropped_first() {
    for wait in [Duration::ZERO, SECOND] {
        let service = OnePlace::default();
        let retry = retry(wait);
        let stack = retry.layer().classify(failure).layer(service.clone());
        let answer = timeout(60 * SECOND, stack.oneshot(1)).await;
        assert!(answer.expect("it waits for itself").is_ok());
        assert_eq!(*service.place.calls.lock(), 4, "after {wait:?}");
    }
}

/// Where the time has an end the answer is kept until then: it is the answer if no service gets ready.
#[tokio::test(start_paused = true)]
async fn with_a_total_time_the_last_answer_is_kept_until_a_service_is_ready() {
    let service = OnePlace::default();
    let builder = Retry::builder("one-place").total_time(SECOND);
    let retry = builder.backoff(Backoff::constant(SECOND / 10)).build();
    let stack = retry.layer().classify(failure).layer(service.clone());
    let start = Instant::now();
    let answer = stack.oneshot(1).await;
    assert!(answer.is_ok() && start.elapsed() <= SECOND + SECOND / 100);
    assert_eq!(*service.place.calls.lock(), 1);
    assert_eq!(retry.snapshot().stopped(Stop::NotReady), 1);
    assert_eq!(retry.snapshot().budget.total_retries, 0);
}

/// Answers once, and fails when it is asked again whether it is ready.
#[derive(Clone, Default)]
struct Closing(Arc<Mutex<u32>>);

impl Service<u32> for Closing {
    type Response = Inside;
    type Error = std::io::Error;
    type Future = Ready<Result<Inside, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        let closed = *self.0.lock() > 0;
        let error = || std::io::Error::other("closed");
        Poll::Ready((!closed).then_some(()).ok_or_else(error))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        *self.0.lock() += 1;
        ready(Ok(Inside(Arc::default())))
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_service_has_broken_down_the_last_answer_is_the_answer() {
    for wait in [Duration::ZERO, SECOND] {
        let retry = retry(wait);
        let stack = retry.layer().classify(failure).layer(Closing::default());
        assert!(stack.oneshot(1).await.is_ok());
        assert_eq!(retry.snapshot().stopped(Stop::NotReady), 1);
        assert_eq!(retry.snapshot().budget.total_retries, 0);
    }
}

/// Busy from its first call on, for ten seconds; fails whenever it is called.
#[derive(Clone)]
struct Busy {
    from: Duration,
    start: Instant,
    calls: Arc<Mutex<Vec<Duration>>>,
}

impl Service<u32> for Busy {
    type Response = ();
    type Error = std::io::Error;
    type Future = Ready<Result<(), std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        let now = self.start.elapsed();
        if now >= self.from && now < 10 * SECOND {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        self.calls.lock().push(self.start.elapsed());
        ready(Err(std::io::Error::other("no")))
    }
}

/// Also when it was ready before the wait, and is not after it.
#[tokio::test(start_paused = true)]
async fn an_error_is_the_answer_when_the_service_is_not_ready_in_time() {
    let start = Instant::now();
    let service = Busy {
        from: SECOND / 20,
        start,
        calls: Arc::default(),
    };
    let builder = Retry::builder("busy").total_time(SECOND);
    let backoff = Backoff::constant(SECOND / 10).jitter(Jitter::None);
    let retry = builder.backoff(backoff).build();
    let layer = retry
        .layer()
        .classify(|_: Result<&(), &std::io::Error>| Verdict::Failure);
    assert!(layer.layer(service.clone()).oneshot(1).await.is_err());
    assert_eq!(*service.calls.lock(), [Duration::ZERO]);
    assert!(start.elapsed() <= SECOND + SECOND / 100);
    assert_eq!(retry.snapshot().stopped(Stop::NotReady), 1);
    let budget = retry.snapshot().budget;
    assert_eq!(budget.total_retries, 0, "and the token went back");
}
