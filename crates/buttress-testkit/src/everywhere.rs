use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;

use crate::error::ScriptedPanic;
use crate::life::MOST_STEPS;
use crate::waker::CountingWaker;

/// Drops a future after 0, 1, 2 … polls until it ends or stalls, and checks after each drop; returns
/// how many times.
///
/// For scenarios of one's own that [`cancel_matrix`](crate::cancel_matrix) does not know, such as a
/// call that waits behind another: `start` builds everything anew and returns the future and a check
/// to be made after the drop, which gets the number of polls. The future is polled again only when it
/// was woken. A [`ScriptedPanic`] ends it as a return does.
///
/// # Panics
///
/// Panics when the future has not ended after 1000 polls, and lets all other panics through.
///
/// # Examples
///
/// ```
/// use buttress_testkit::{Probe, Script, drop_at_every_poll};
/// use tower::ServiceExt;
///
/// let times = drop_at_every_poll(|| {
///     let probe = Probe::new(Script::default().suspensions(3));
///     let controls = probe.controls();
///     (probe.oneshot(()), move |_polls| assert_eq!(controls.counts().live_futures, 0))
/// });
/// assert_eq!(times, 5);
/// ```
#[track_caller]
pub fn drop_at_every_poll<F, C>(mut start: impl FnMut() -> (F, C)) -> usize
where
    F: Future,
    C: FnOnce(usize),
{
    for polls in 0..MOST_STEPS {
        let (future, check) = start();
        let over = poll_up_to(polls, future);
        check(polls);
        if over {
            return polls + 1;
        }
    }
    panic!("the future has not ended after {MOST_STEPS} polls");
}

/// Polls so many times and drops the future; says whether it had ended or stalled by then.
fn poll_up_to(polls: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let waker = CountingWaker::new();
    for _ in 0..polls {
        let poll = AssertUnwindSafe(|| future.as_mut().poll(&mut waker.context()).is_ready());
        let ready = catch_unwind(poll).unwrap_or_else(|panic| {
            if ScriptedPanic::is(&*panic) {
                true
            } else {
                resume_unwind(panic)
            }
        });
        if ready || waker.take() == 0 {
            return true;
        }
    }
    false
}
