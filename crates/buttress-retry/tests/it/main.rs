//! Retries through their public face, around plain services.

mod readiness;
mod requests;
mod run;

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{Error, Name, Reason, Rejected, Verdict, WidenLayer, by};
use buttress_retry::{Backoff, Event, Jitter, Retry, RetryBudget, RetryBudgetLayer, Stop};
use buttress_sync::Mutex;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// Fails so often, then succeeds, and counts the calls.
fn flaky(
    failures: u32,
) -> (
    Arc<AtomicU32>,
    impl Service<u32, Response = u32, Error = std::io::Error, Future: Send> + Clone,
) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |request: u32| {
        let call = counted.fetch_add(1, SeqCst);
        ready(if call < failures {
            Err(std::io::Error::other("flaky"))
        } else {
            Ok(request + call)
        })
    });
    (calls, service)
}

fn plain() -> Retry {
    let backoff = Backoff::default().jitter(Jitter::None);
    Retry::builder("inventory").backoff(backoff).build()
}

// proves: RB-1
#[tokio::test(start_paused = true)]
async fn a_call_that_fails_twice_succeeds_after_three_attempts() {
    let (calls, service) = flaky(2);
    let retry = plain();
    let stack = ServiceBuilder::new()
        .layer(retry.layer())
        .layer(WidenLayer)
        .service(service);
    let start = Instant::now();
    assert_eq!(stack.oneshot(40).await.unwrap(), 42);
    assert_eq!(calls.load(SeqCst), 3);
    assert_eq!(start.elapsed(), Duration::from_millis(300));
    let budget = retry.snapshot().budget;
    assert_eq!((budget.total_requests, budget.total_retries), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_the_answer() {
    let (calls, service) = flaky(u32::MAX);
    let retry = plain();
    let mut stack = retry.layer().layer(WidenLayer.layer(service));
    let error = stack.ready().await.unwrap().call(1).await.unwrap_err();
    assert!(matches!(error, Error::Inner(_)), "{error:?}");
    assert_eq!(calls.load(SeqCst), 4);
    assert_eq!(retry.snapshot().stopped(Stop::Attempts), 1);
}

// proves: RB-1, RB-2
#[tokio::test(start_paused = true)]
async fn with_the_budget_spent_a_first_attempt_goes_out_and_no_retry_does() {
    let budget = RetryBudget::builder("shared").build();
    while let Some(token) = budget.try_retry() {
        token.sent();
    }
    let retry = Retry::builder("inventory").budget(&budget).build();
    let (calls, service) = flaky(u32::MAX);
    let stack = retry.layer().layer(WidenLayer.layer(service));
    for call in 1..=10 {
        assert!(stack.clone().oneshot(1).await.is_err());
        assert_eq!(calls.load(SeqCst), call);
    }
    assert_eq!(retry.snapshot().stopped(Stop::Budget), 10);
}

// proves: RB-10
#[tokio::test(start_paused = true)]
async fn a_refusal_of_ours_is_not_tried_again() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: ()| {
        counted.fetch_add(1, SeqCst);
        let rejected = Rejected::new(Reason::Overloaded, Name::new("bulkhead"));
        ready(Err::<(), _>(Error::<std::io::Error>::Rejected(rejected)))
    });
    let stack = RetryBudgetLayer::new(3).layer(service);
    assert!(stack.oneshot(()).await.is_err());
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_classifier_says_what_is_tried_again() {
    let (calls, service) = flaky(0);
    let odd = by(
        |result: Result<&u32, &Error<std::io::Error>>| match result {
            Ok(answer) if answer % 2 == 0 => Verdict::Success,
            _ => Verdict::Failure,
        },
    );
    let stack = plain()
        .layer()
        .classify(odd)
        .layer(WidenLayer.layer(service));
    assert_eq!(stack.oneshot(1).await.unwrap(), 2);
    assert_eq!(calls.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_after_the_total_time() {
    let (calls, service) = flaky(u32::MAX);
    let backoff = Backoff::constant(SECOND).jitter(Jitter::None);
    let builder = Retry::builder("inventory").retries(100).backoff(backoff);
    let retry = builder.total_time(SECOND * 5 / 2).build();
    let stack = retry.layer().layer(WidenLayer.layer(service));
    let start = Instant::now();
    assert!(stack.oneshot(1).await.is_err());
    assert_eq!((calls.load(SeqCst), start.elapsed()), (3, 2 * SECOND));
    assert_eq!(retry.snapshot().stopped(Stop::TotalTime), 1);
}

/// A throttled call without a hint starts at a base of one second, one with a hint waits for that.
// proves: RB-7
#[tokio::test(start_paused = true)]
async fn a_hint_is_waited_for() {
    for (hint, least, most) in [
        (None, 1.0, 1.0),
        (Some(7), 7.0, 7.7),
        (Some(60), 60.0, 60.0),
    ] {
        let (calls, service) = flaky(1);
        let hint = hint.map(Duration::from_secs);
        let throttled = by(
            move |result: Result<&u32, &Error<std::io::Error>>| match result {
                Ok(_) => Verdict::Success,
                Err(_) => Verdict::Throttled { retry_after: hint },
            },
        );
        let stack = plain()
            .layer()
            .classify(throttled)
            .layer(WidenLayer.layer(service));
        let start = Instant::now();
        assert!(stack.oneshot(1).await.is_ok());
        let waited = start.elapsed().as_secs_f64();
        assert!(
            least <= waited && waited <= most + 0.002,
            "{waited} after {hint:?}"
        );
        assert_eq!(calls.load(SeqCst), 2);
    }
}

// proves: RB-7
#[tokio::test(start_paused = true)]
async fn a_hint_above_the_cap_is_the_end() {
    let (calls, service) = flaky(1);
    let retry = plain();
    let overloaded = by(
        |result: Result<&u32, &Error<std::io::Error>>| match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Overloaded {
                retry_after: Some(61 * SECOND),
            },
        },
    );
    let stack = retry
        .layer()
        .classify(overloaded)
        .layer(WidenLayer.layer(service));
    assert!(stack.oneshot(1).await.is_err());
    assert_eq!(
        (calls.load(SeqCst), retry.snapshot().stopped(Stop::Hint)),
        (1, 1)
    );
}

// proves: A-1
#[tokio::test(start_paused = true)]
async fn dropped_in_its_back_off_a_call_gives_its_token_back() {
    let retry = plain();
    for _ in 0..100 {
        let (calls, service) = flaky(u32::MAX);
        let mut call = task::spawn(retry.layer().layer(WidenLayer.layer(service)).oneshot(1));
        assert_pending!(call.poll());
        assert_eq!(calls.load(SeqCst), 1);
    }
    let budget = retry.snapshot().budget;
    assert_eq!((budget.total_requests, budget.total_retries), (100, 0));
    let tokens: Vec<_> = std::iter::from_fn(|| retry.budget().try_retry()).collect();
    assert_eq!(tokens.len(), 3);
}

/// Counts its clones, and panics when it is called without having said that it is ready.
struct Strict {
    clones: Arc<AtomicU32>,
    busy: Arc<Mutex<u32>>,
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, SeqCst);
        Self {
            clones: Arc::clone(&self.clones),
            busy: Arc::clone(&self.busy),
            is_ready: false,
        }
    }
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = Error<std::io::Error>;
    type Future = Ready<Result<u32, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut busy = self.busy.lock();
        if *busy > 0 {
            *busy -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(
            std::mem::take(&mut self.is_ready),
            "called without being ready"
        );
        *self.busy.lock() = 2;
        ready(if request == 0 {
            Ok(0)
        } else {
            Err(Error::Inner(std::io::Error::other("no")))
        })
    }
}

// proves: A-4
#[tokio::test(start_paused = true)]
async fn every_attempt_is_made_by_an_instance_that_said_it_was_ready() {
    for wait in [Duration::ZERO, SECOND] {
        let clones = Arc::new(AtomicU32::new(0));
        let inner = Strict {
            clones: Arc::clone(&clones),
            busy: Arc::default(),
            is_ready: false,
        };
        let retry = Retry::builder("strict")
            .backoff(Backoff::constant(wait))
            .build();
        let mut stack = retry.layer().layer(inner);
        let made = clones.load(SeqCst);
        for _ in 0..100 {
            assert!(stack.ready().await.unwrap().call(0).await.is_ok());
        }
        assert_eq!(clones.load(SeqCst), made, "nothing is cloned but to retry");
        assert!(stack.ready().await.unwrap().call(1).await.is_err());
        assert!(clones.load(SeqCst) > made);
        assert_eq!(retry.snapshot().budget.total_retries, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_observer_is_told_of_retries_and_of_their_end() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let observer = move |event: &Event| heard.lock().push(*event);
    let (_, service) = flaky(u32::MAX);
    let retry = Retry::builder("inventory")
        .retries(1)
        .observer(observer)
        .build();
    let mut call = task::spawn(retry.layer().layer(WidenLayer.layer(service)).oneshot(1));
    assert_pending!(call.poll());
    tokio::time::advance(SECOND).await;
    assert!(assert_ready!(call.poll()).is_err());
    let told = told.lock();
    assert!(matches!(
        told[0],
        Event::Retried {
            retry: 1,
            verdict: Verdict::Failure,
            ..
        }
    ));
    assert!(matches!(
        told[1],
        Event::Stopped {
            retries: 1,
            why: Stop::Attempts,
            ..
        }
    ));
    assert_eq!(told.len(), 2);
}
