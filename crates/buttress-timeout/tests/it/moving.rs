//! Calls and handles that outlive where they began.

use std::fmt;
use std::future::{Future, pending};
use std::task::{Context, Waker};

use buttress_core::{Reason, WidenLayer};
use buttress_testkit::{Ending, Probe, Script};
use buttress_timeout::{AdaptiveTimeout, ConnectionTimeoutLayer};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt};

use super::cutting::refusal;
use super::{MS, SECOND, both};

/// Polls once here, where nobody will ever be woken, and finishes on another task.
async fn moved<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut future = Box::pin(future);
    let first = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_pending(), "there is nothing left to move");
    sleep(MS).await;
    tokio::spawn(future).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_moves_to_another_task_is_cut_there() {
    for timeout in both(SECOND) {
        let started = Instant::now();
        let service = (timeout.layer(), WidenLayer).layer(Probe::new(Script::new(Ending::Hang)));
        let rejected = refusal(moved(service.oneshot(())).await);
        assert_eq!(
            (rejected.reason(), started.elapsed()),
            (Reason::TimedOut, SECOND)
        );
        let started = Instant::now();
        let call = async move { timeout.run(pending::<Result<(), fmt::Error>>()).await };
        refusal(moved(call).await);
        assert_eq!(started.elapsed(), SECOND);
    }
    let started = Instant::now();
    let connector = (ConnectionTimeoutLayer::new(), WidenLayer).layer(tower::service_fn(|()| {
        Box::pin(pending::<Result<(), fmt::Error>>())
    }));
    refusal(moved(connector.oneshot(())).await);
    assert_eq!(started.elapsed(), 3 * SECOND);
}

fn paused() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn a_handle_outlives_the_runtime_that_made_it() {
    let first = paused();
    let timeouts = first.block_on(async { both(SECOND) });
    let hang = || pending::<Result<(), fmt::Error>>();
    for timeout in &timeouts {
        first.block_on(async { refusal(timeout.run(hang()).await) });
    }
    drop(first);
    for _ in 0..2 {
        let second = paused();
        for timeout in &timeouts {
            let took = second.block_on(async {
                let started = Instant::now();
                refusal(timeout.run(hang()).await);
                started.elapsed()
            });
            assert_eq!(took, SECOND);
        }
    }
    // And is made without one.
    let timeout = AdaptiveTimeout::fixed(SECOND);
    let call = async { refusal(timeout.run(hang()).await) };
    assert_eq!(paused().block_on(call).reason(), Reason::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_call_outlives_its_handle() {
    for timeout in both(SECOND) {
        let name = timeout.name();
        let service = (timeout.layer(), WidenLayer).layer(Probe::new(Script::new(Ending::Hang)));
        drop(timeout);
        let rejected = refusal(service.oneshot(()).await);
        assert_eq!(
            (rejected.reason(), rejected.component()),
            (Reason::TimedOut, name)
        );
    }
}
