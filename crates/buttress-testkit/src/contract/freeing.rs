use super::readiness::begin;
use crate::breach::{Breach, Finding, ensure, examine};
use crate::case::{at_rest, each_cut};
use crate::ending::End;
use crate::life::MOST_STEPS;
use crate::script::{Ending, Readiness, Script};
use crate::testable::Testable;
use crate::waker::CountingWaker;

/// Checks that a call that ended with a response or an error has given everything back.
///
/// # Errors
///
/// The breach, if there is one.
pub fn finished_call_frees<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    let script = |ending| Script::new(ending).suspensions(1);
    examine("finished_call_frees", || {
        let ends = [End::Answered, End::Failed, End::Refused];
        frees(&fixture, script(Ending::Ok), &ends)?;
        if fixture().is_fallible() {
            frees(&fixture, script(Ending::Err), &ends)?;
        }
        Ok(())
    })
}

/// Checks that a future dropped before its first poll, or after any other, gives everything back.
///
/// # Errors
///
/// The breach, if there is one.
pub fn dropped_future_frees<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    let script = Script::default().suspensions(2);
    examine("dropped_future_frees", || {
        frees(&fixture, script, &[End::DroppedUnpolled])?;
        frees(&fixture, script, &[End::DroppedRunning])
    })
}

/// Checks that a response dropped unread, or after any part, gives everything back.
///
/// # Errors
///
/// The breach, if there is one.
pub fn dropped_response_frees<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("dropped_response_frees", || {
        frees(
            &fixture,
            Script::default(),
            &[End::DroppedUnread, End::DroppedReading],
        )
    })
}

/// Checks that a service dropped before or after it got ready gives everything back, and that a call
/// survives the service it was made on.
///
/// # Errors
///
/// The breach, if there is one.
pub fn dropped_service_frees<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    let script = Script::default().readiness(Readiness::After(2));
    examine("dropped_service_frees", || {
        frees(&fixture, script, &[End::DroppedUnready])?;
        frees(&fixture, script, &[End::DroppedReady])?;
        outlives_its_service(&fixture())
    })
}

/// Checks that a panic in the inner `call`, or in its future's `poll`, gives everything back and
/// leaves the service usable.
///
/// # Errors
///
/// The breach, if there is one.
pub fn panicking_inner_frees<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    let ends = [End::Panicked, End::Answered, End::Failed, End::Refused];
    examine("panicking_inner_frees", || {
        frees(&fixture, Script::new(Ending::PanicInCall), &ends)?;
        frees(&fixture, Script::new(Ending::PanicInPoll), &ends)?;
        frees(
            &fixture,
            Script::new(Ending::PanicInPoll).suspensions(1),
            &ends,
        )
    })
}

/// Judges those cases of a script that end in one of the ways given; there must be one.
fn frees<F, X>(fixture: &F, script: Script, ends: &[End]) -> Finding
where
    F: Fn() -> X,
    X: Testable,
{
    let mut judged = 0;
    each_cut(fixture, script, |end, finding| {
        if !ends.contains(&end) {
            return Ok(());
        }
        judged += 1;
        finding
    })?;
    if judged > 0 {
        Ok(())
    } else {
        Err(format!("{script}: no call ended as {ends:?}"))
    }
}

fn outlives_its_service<X: Testable>(subject: &X) -> Finding {
    let mut service = subject.service();
    let mut future = Box::pin(begin(subject, &mut service)?);
    drop(service);
    let waker = CountingWaker::new();
    for _ in 0..MOST_STEPS {
        if future.as_mut().poll(&mut waker.context()).is_ready() {
            drop(future);
            return at_rest(subject);
        }
        ensure(waker.take() > 0, || {
            "the call stalled when its service was dropped".into()
        })?;
    }
    Err("the call never ended when its service was dropped".into())
}
