//! A call that is first in line, and that nobody polls: the next one has its turn ten milliseconds later, and it keeps its place.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use buttress::{Error, Rate, RateLimit, WidenLayer};
use buttress_rate_limit::RateLimitBuilder;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How long a turn waits to be taken up.
const PATIENCE: Duration = Duration::from_millis(10);

/// How long a call that must not be stuck is waited for.
const LONG: Duration = Duration::from_secs(60);

/// One call a second, each by another means.
fn limits() -> impl Iterator<Item = RateLimit> {
    let rate = Rate::per_second(1);
    let builders = [
        RateLimit::builder("shaper").leaky_bucket(rate),
        RateLimit::builder("bucket").token_bucket(rate),
        RateLimit::builder("window").sliding_window(rate),
    ];
    let patient = |builder: RateLimitBuilder| builder.max_wait(10 * LONG);
    builders
        .into_iter()
        .map(patient)
        .map(RateLimitBuilder::build)
}

fn service(
    limit: &RateLimit,
) -> impl Service<(), Response = (), Error = Error<Infallible>, Future: Send> + Clone + use<> {
    (limit.waiting_layer(), WidenLayer).layer(service_fn(|()| async { Ok(()) }))
}

type Call = Pin<Box<dyn Future<Output = Result<(), Error<Infallible>>> + Send>>;

/// A call that is polled once, and then left alone.
fn left_alone(limit: &RateLimit) -> Call {
    let mut call: Call = Box::pin(service(limit).oneshot(()));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it has to wait");
    call
}

// proves: A-5
#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_takes_up_is_the_next_callers_ten_milliseconds_later() {
    for unpolled in [1, 2, 5, 50] {
        for limit in limits() {
            service(&limit).oneshot(()).await.unwrap();
            let due = Instant::now() + SECOND;
            let alone: Vec<_> = (0..unpolled).map(|_| left_alone(&limit)).collect();
            let next = tokio::spawn(service(&limit).oneshot(()));
            timeout(LONG, next).await.expect("stuck").unwrap().unwrap();
            let late = Instant::now() - due;
            // A millisecond is the grain of tokio's timers.
            assert!(
                late <= unpolled * (PATIENCE + MS),
                "{limit:?} after {unpolled}: {late:?}"
            );
            // Those that were left alone have kept their places, and come in turn, before whoever comes now.
            assert_eq!(limit.snapshot().waiting, unpolled);
            let last = tokio::spawn(service(&limit).oneshot(()));
            for call in alone {
                timeout(LONG, call).await.expect("stuck").unwrap();
            }
            timeout(LONG, last).await.expect("stuck").unwrap().unwrap();
            assert_eq!(limit.snapshot().waiting, 0);
        }
    }
}

/// The next one comes long after the turn was due.
// proves: A-5
#[tokio::test(start_paused = true)]
async fn one_who_comes_late_goes_past_those_whom_nobody_polls() {
    for limit in limits() {
        service(&limit).oneshot(()).await.unwrap();
        let alone: Vec<_> = (0..5).map(|_| left_alone(&limit)).collect();
        sleep(20 * SECOND).await;
        let came = Instant::now();
        let next = service(&limit).oneshot(());
        timeout(LONG, next).await.expect("stuck").unwrap();
        assert!(
            came.elapsed() <= 5 * (PATIENCE + MS),
            "{:?}",
            came.elapsed()
        );
        assert_eq!(limit.snapshot().waiting, 5);
        drop(alone);
        assert_eq!(limit.snapshot().waiting, 0);
    }
}

/// A task that waits in line, turns to something else, and calls again for that: its first call, which is next, is not polled
/// meanwhile.
// proves: A-5
#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_itself_goes_on() {
    for limit in limits() {
        service(&limit).oneshot(()).await.unwrap();
        let start = Instant::now();
        let mut first = std::pin::pin!(service(&limit).oneshot(()));
        tokio::select! {
            _ = &mut first => panic!("it has to wait"),
            () = sleep(SECOND / 2) => {}
        }
        let second = service(&limit).oneshot(());
        timeout(LONG, second).await.expect("stuck").unwrap();
        assert!(
            start.elapsed() <= SECOND + PATIENCE + 2 * MS,
            "{:?}",
            start.elapsed()
        );
        timeout(LONG, first).await.expect("stuck").unwrap();
    }
}
