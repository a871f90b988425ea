use super::readiness::get_ready;
use crate::breach::{Breach, Finding, ensure, examine};
use crate::case::holds_nothing;
use crate::ending::End;
use crate::life::{Life, MOST_STEPS};
use crate::script::{Ending, Script};
use crate::testable::Testable;

/// Checks that a service that is ready but idle holds nothing, so that no other caller waits for it.
///
/// Too strict for a layer that reserves in `poll_ready`, as tower's `ConcurrencyLimit`.
///
/// # Errors
///
/// The breach, if there is one.
pub fn readied_service_holds_nothing<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("readied_service_holds_nothing", || {
        let subject = fixture().playing(|_| Script::default());
        let mut services = [subject.service(), subject.service()];
        for service in &mut services {
            get_ready(service)?;
        }
        holds_nothing(&subject)
    })
}

/// Checks that the inner service's error comes out, itself or as the source of another.
///
/// Too strict for a layer that answers failures, as a fallback does. Trivially true of an
/// [infallible](crate::Subject::infallible) subject.
///
/// # Errors
///
/// The breach, if there is one.
pub fn inner_error_passes_through<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("inner_error_passes_through", || {
        let subject = fixture();
        if subject.is_fallible() {
            ends(subject, Ending::Err, End::Failed)
        } else {
            Ok(())
        }
    })
}

/// Checks that a panic of the inner service goes on to the caller.
///
/// Too strict for a layer that makes answers of panics.
///
/// # Errors
///
/// The breach, if there is one.
pub fn inner_panic_passes_through<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("inner_panic_passes_through", || {
        ends(fixture(), Ending::PanicInCall, End::Panicked)?;
        ends(fixture(), Ending::PanicInPoll, End::Panicked)
    })
}

fn ends<X: Testable>(subject: X, ending: Ending, expected: End) -> Finding {
    let subject = subject.playing(move |_| Script::new(ending));
    let mut life = Life::new(subject.service());
    life.run(&subject, MOST_STEPS);
    ensure(life.end() == expected, || {
        format!("{ending} inside, but: {}", life.story())
    })
}
