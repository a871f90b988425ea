//! Whose time is over: ours, or the caller's.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use buttress_core::{Deadline, Error, Name, Reason, Rejected, find_rejection};
use buttress_timeout::AdaptiveTimeout;
use tokio::time::{Instant, advance, sleep};

use super::cutting::refusal;
use super::{MS, SECOND, both};

fn after(wait: Duration) -> Deadline {
    Deadline::after(Instant::now(), wait)
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_first_ends_a_call_and_the_caller_where_both_do() {
    for timeout in both(100 * MS) {
        for (left, cut, reason) in [
            (MS, MS, Reason::DeadlineExceeded),
            (99 * MS, 99 * MS, Reason::DeadlineExceeded),
            (100 * MS, 100 * MS, Reason::DeadlineExceeded),
            (101 * MS, 100 * MS, Reason::TimedOut),
            (Duration::MAX, 100 * MS, Reason::TimedOut),
        ] {
            let started = Instant::now();
            let call = timeout.run_before(after(left), pending::<Result<(), fmt::Error>>());
            let rejected = refusal(call.await);
            assert_eq!(
                (rejected.reason(), started.elapsed()),
                (reason, cut),
                "{left:?}"
            );
            assert_eq!(rejected.component(), timeout.name());
        }
        let seen = timeout.snapshot();
        assert_eq!((seen.timed_out, seen.deadline_exceeded), (2, 3));
    }
}

// proves: AT-1
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_after_its_deadline_is_not_made() {
    for timeout in both(SECOND) {
        sleep(SECOND).await;
        for past in [Duration::ZERO, MS, SECOND] {
            let polled = Cell::new(false);
            let work = async {
                polled.set(true);
                Ok::<_, fmt::Error>(())
            };
            let deadline = Deadline::at(Instant::now() - past);
            let rejected = refusal(timeout.run_before(deadline, work).await);
            assert_eq!(rejected.reason(), Reason::DeadlineExceeded);
            assert!(!polled.get());
        }
        let seen = timeout.snapshot();
        assert_eq!((seen.deadline_exceeded, seen.samples), (3, 0));
    }
}

/// Fails at this moment, from wherever it is polled.
async fn failing_after<E>(wait: Duration, error: E) -> Result<(), E> {
    sleep(wait).await;
    Err(error)
}

#[tokio::test(start_paused = true)]
async fn an_error_that_comes_with_the_deadline_or_after_it_is_the_deadlines() {
    for timeout in both(SECOND) {
        let call = timeout.run_before(after(50 * MS), failing_after(49 * MS, fmt::Error));
        assert_eq!(call.await, Err(Error::Inner(fmt::Error)));
        let call = timeout.run_before(after(50 * MS), failing_after(50 * MS, fmt::Error));
        assert_eq!(refusal(call.await).reason(), Reason::DeadlineExceeded);
        assert_eq!(timeout.snapshot().deadline_exceeded, 1);

        // A task that was away for a while.
        let mut polls = 0;
        let work = poll_fn(|_| {
            polls += 1;
            if polls == 1 {
                Poll::Pending
            } else {
                Poll::Ready(Err::<(), _>(fmt::Error))
            }
        });
        let mut call = pin!(timeout.run_before(after(50 * MS), work));
        let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(first.is_pending());
        advance(10 * SECOND).await;
        assert_eq!(refusal(call.await).reason(), Reason::DeadlineExceeded);
        assert_eq!(timeout.snapshot().deadline_exceeded, 2);
    }
}

/// As a client that knows the deadline, too, and gives up in the same moment.
#[tokio::test(start_paused = true)]
async fn who_has_said_already_that_the_deadline_is_over_keeps_the_word() {
    let theirs = Name::new("theirs");
    for timeout in both(SECOND) {
        for (reason, component) in [
            (Reason::DeadlineExceeded, theirs),
            (Reason::TimedOut, timeout.name()),
            (Reason::Overloaded, timeout.name()),
        ] {
            let inner = Error::<fmt::Error>::Rejected(Rejected::new(reason, theirs));
            let call = timeout.run_before(after(50 * MS), failing_after(50 * MS, inner));
            let error = call.await.unwrap_err();
            let rejected = find_rejection(&error).unwrap();
            assert_eq!(
                (rejected.reason(), rejected.component()),
                (Reason::DeadlineExceeded, component)
            );
        }
    }
}

/// It was made, and it is there: nobody gains from throwing it away.
#[tokio::test(start_paused = true)]
async fn what_ends_well_with_the_deadline_comes_through() {
    for timeout in both(SECOND) {
        let work = async {
            sleep(50 * MS).await;
            Ok::<_, fmt::Error>(42)
        };
        assert_eq!(timeout.run_before(after(50 * MS), work).await, Ok(42));
        assert_eq!(timeout.snapshot().deadline_exceeded, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_counts_from_when_the_call_begins_and_not_from_when_it_is_made() {
    let timeout = AdaptiveTimeout::fixed(100 * MS);
    let call = timeout.run_before(after(150 * MS), pending::<Result<(), fmt::Error>>());
    sleep(80 * MS).await;
    let started = Instant::now();
    assert_eq!(refusal(call.await).reason(), Reason::DeadlineExceeded);
    assert_eq!(started.elapsed(), 70 * MS);
}
