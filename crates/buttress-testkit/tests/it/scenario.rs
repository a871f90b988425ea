//! Scenarios of one's own, dropped at every poll.

use std::sync::Arc;

use buttress_testkit::{Ending, Probe, Script, drop_at_every_poll};
use tokio::sync::Semaphore;
use tower::ServiceExt;

#[test]
fn a_scenario_is_dropped_once_for_each_poll() {
    let times = drop_at_every_poll(|| {
        let probe = Probe::new(Script::new(Ending::PanicInPoll).suspensions(4));
        let controls = probe.controls();
        (probe.oneshot(()), move |_| {
            assert_eq!(controls.counts().live_futures, 0);
        })
    });
    assert_eq!(times, 6);
}

#[test]
fn a_caller_that_waits_behind_another_is_dropped_while_it_waits() {
    let times = drop_at_every_poll(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&semaphore)
            .try_acquire_owned()
            .expect("a free permit");
        let waiting = Arc::clone(&semaphore);
        let check = move |_| {
            drop(held);
            assert_eq!(semaphore.available_permits(), 1);
        };
        (async move { drop(waiting.acquire().await) }, check)
    });
    assert_eq!(times, 2);
}

#[test]
#[should_panic(expected = "1 was left")]
fn a_check_that_fails_fails_the_test() {
    drop_at_every_poll(|| {
        let probe = Probe::new(Script::default().suspensions(1));
        let controls = probe.controls();
        let leaking = async { std::mem::forget(Box::pin(probe.oneshot(())).as_mut().await) };
        (leaking, move |polls| {
            let left = controls.counts().live_values;
            assert_eq!(left, 0, "{left} was left after {polls} polls");
        })
    });
}

#[test]
#[should_panic(expected = "the future has not ended after 1000 polls")]
fn a_future_that_wakes_itself_for_ever_fails_the_test() {
    drop_at_every_poll(|| {
        let spinning = std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::<()>::Pending
        });
        (spinning, |_| ())
    });
}
