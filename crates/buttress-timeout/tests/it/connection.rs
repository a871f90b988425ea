//! A connection that is never made.

use std::future::{Ready, pending, ready};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use buttress_core::{Error, Name, Reason, WidenLayer};
use buttress_testkit::{Ending, Probe, Script};
use buttress_timeout::ConnectionTimeoutLayer;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::cutting::refusal;
use super::{MS, SECOND};

type Connecting = Pin<Box<dyn Future<Output = io::Result<u32>> + Send>>;

fn connecting(
    takes: Duration,
) -> impl Service<(), Response = u32, Error = io::Error, Future = Connecting> {
    service_fn(move |()| -> Connecting {
        Box::pin(async move {
            sleep(takes).await;
            Ok(42)
        })
    })
}

#[tokio::test(start_paused = true)]
async fn it_is_given_up_after_three_seconds_or_what_was_said() {
    for (layer, limit) in [
        (ConnectionTimeoutLayer::new(), 3 * SECOND),
        (ConnectionTimeoutLayer::default(), 3 * SECOND),
        (ConnectionTimeoutLayer::of(200 * MS), 200 * MS),
        (ConnectionTimeoutLayer::of(Duration::ZERO), Duration::ZERO),
    ] {
        let started = Instant::now();
        let connector = (layer, WidenLayer).layer(connecting(3600 * SECOND));
        let rejected = refusal(connector.oneshot(()).await);
        assert_eq!(started.elapsed(), limit);
        assert_eq!(rejected.reason(), Reason::TimedOut);
        assert_eq!(rejected.component(), Name::new("connection"));
    }
    let patient =
        (ConnectionTimeoutLayer::of(Duration::MAX), WidenLayer).layer(connecting(3600 * SECOND));
    assert_eq!(patient.oneshot(()).await.unwrap(), 42);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_made_in_time_comes_through_and_so_does_an_error() {
    let layer = (ConnectionTimeoutLayer::new(), WidenLayer);
    let started = Instant::now();
    assert_eq!(
        layer
            .layer(connecting(3 * SECOND))
            .oneshot(())
            .await
            .unwrap(),
        42
    );
    assert_eq!(started.elapsed(), 3 * SECOND);
    let refused = service_fn(|()| -> Ready<io::Result<u32>> {
        ready(Err(io::ErrorKind::ConnectionRefused.into()))
    });
    let error = layer.layer(refused).oneshot(()).await.unwrap_err();
    assert!(
        matches!(error, Error::Inner(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    );
}

/// Needs no timer where nobody waits, and leaves nothing of the attempt.
#[tokio::test(start_paused = true)]
async fn at_the_timeout_nothing_of_the_attempt_lives_any_more() {
    let probe = Probe::new(Script::new(Ending::Hang));
    let controls = probe.controls();
    let boxed = service_fn(move |()| Box::pin(probe.clone().oneshot(())));
    let mut connector = (ConnectionTimeoutLayer::new(), WidenLayer).layer(boxed);
    let mut call = connector.ready().await.unwrap().call(());
    refusal((&mut call).await);
    assert_eq!(controls.counts().live_futures, 0);
    assert!(futures_pending(&mut call).await);
}

async fn futures_pending<F: Future + Unpin>(call: &mut F) -> bool {
    tokio::time::timeout(SECOND, call).await.is_err()
}

#[test]
fn what_is_ready_at_once_makes_no_timer() {
    let without_time = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let at_once = service_fn(|()| ready(io::Result::Ok(42)));
    let connector = (ConnectionTimeoutLayer::new(), WidenLayer).layer(at_once);
    assert_eq!(without_time.block_on(connector.oneshot(())).unwrap(), 42);
}

#[test]
fn it_may_be_moved() {
    fn unpin<T: Unpin>(_: &T) {}
    let mut connector = (ConnectionTimeoutLayer::new(), WidenLayer)
        .layer(service_fn(|()| Box::pin(pending::<io::Result<()>>())));
    unpin(&connector.call(()));
}
