use std::task::Poll;

use tower_service::Service;

use crate::breach::{Breach, Finding, ensure, examine};
use crate::case::{at_rest, call_once};
use crate::error::ProbeError;
use crate::life::FutureOf;
use crate::script::{Readiness, Script};
use crate::testable::Testable;
use crate::waker::CountingWaker;

/// Checks that the inner instance that reported ready is the one that is called, once per report.
///
/// Fails for the layer that calls `self.inner.clone()`, and for the one that skips readiness.
///
/// # Errors
///
/// The breach, if there is one.
pub fn calls_the_polled_instance<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("calls_the_polled_instance", || {
        for readiness in [Readiness::AtOnce, Readiness::After(1)] {
            let subject = fixture().playing(move |_| Script::default().readiness(readiness));
            let service = call_once(&subject, subject.service())?;
            call_once(&subject, service)?;
            at_rest(&subject)?;
        }
        Ok(())
    })
}

/// Checks that the service is not ready as long as the inner service is not.
///
/// Too strict for a layer that does not forward readiness, as tower's `Buffer`.
///
/// # Errors
///
/// The breach, if there is one.
pub fn waits_for_inner_readiness<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("waits_for_inner_readiness", || {
        let subject = fixture().playing(|_| Script::default().readiness(Readiness::Never));
        let poll = subject
            .service()
            .poll_ready(&mut CountingWaker::new().context());
        ensure(poll.is_pending(), || {
            "reported ready while the inner service was not".into()
        })
    })
}

/// Checks that a clone of a readied service gets ready by itself before it calls.
///
/// # Errors
///
/// The breach, if there is one.
pub fn clone_carries_no_readiness<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
    X::Service: Clone,
{
    examine("clone_carries_no_readiness", || {
        let subject = fixture().playing(|_| Script::default());
        let mut original = subject.service();
        get_ready(&mut original)?;
        let clone = original.clone();
        // The original goes first: a layer may well have reserved its only slot for it.
        call_once(&subject, original)?;
        call_once(&subject, clone)?;
        at_rest(&subject)
    })
}

/// Checks that `poll_ready` returns the inner service's error.
///
/// Trivially true of an [infallible](crate::Subject::infallible) subject, and too strict for a layer
/// that does not forward readiness.
///
/// # Errors
///
/// The breach, if there is one.
pub fn inner_readiness_error_passes_through<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("inner_readiness_error_passes_through", || {
        let subject = fixture().playing(|_| Script::default().readiness(Readiness::Fails));
        if !subject.is_fallible() {
            return Ok(());
        }
        match subject
            .service()
            .poll_ready(&mut CountingWaker::new().context())
        {
            Poll::Ready(Err(error)) => is_the_probes(&*error.into()),
            Poll::Ready(Ok(())) => Err("reported ready when the inner service failed".into()),
            Poll::Pending => Err("was pending when the inner service failed".into()),
        }
    })
}

fn is_the_probes(error: &(dyn std::error::Error + 'static)) -> Finding {
    ensure(ProbeError::is_in(error), || {
        format!("returned another error instead: {error}")
    })
}

/// Polls a service whose inner service is ready at once.
pub(super) fn get_ready<S, Req>(service: &mut S) -> Finding
where
    S: Service<Req>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match service.poll_ready(&mut CountingWaker::new().context()) {
        Poll::Ready(Ok(())) => Ok(()),
        Poll::Ready(Err(error)) => Err(format!("readiness failed: {}", error.into())),
        Poll::Pending => Err("was not ready though the inner service was".into()),
    }
}

/// Readies a service and calls it.
pub(super) fn begin<X: Testable>(
    subject: &X,
    service: &mut X::Service,
) -> Result<FutureOf<X>, String> {
    get_ready(service)?;
    Ok(service.call(subject.request()))
}
