//! The checks, one function each, and the entry that runs them together.

mod freeing;
mod passing;
mod readiness;
mod waking;

pub use freeing::{
    dropped_future_frees, dropped_response_frees, dropped_service_frees, finished_call_frees,
    panicking_inner_frees,
};
pub use passing::{
    inner_error_passes_through, inner_panic_passes_through, readied_service_holds_nothing,
};
pub use readiness::{
    calls_the_polled_instance, clone_carries_no_readiness, inner_readiness_error_passes_through,
    waits_for_inner_readiness,
};
pub use waking::{follows_the_latest_waker, registers_a_waker};

use crate::breach::Breach;
use crate::testable::Testable;

/// Fails the test and names what failed when a layer breaks the contract that every tower layer
/// must keep.
///
/// Runs [`calls_the_polled_instance`], [`waits_for_inner_readiness`], [`clone_carries_no_readiness`],
/// [`inner_readiness_error_passes_through`], [`registers_a_waker`], [`follows_the_latest_waker`],
/// [`finished_call_frees`], [`dropped_future_frees`], [`dropped_response_frees`],
/// [`dropped_service_frees`] and [`panicking_inner_frees`]. One of them clones the service; the others
/// can be called alone for a service that has no clones.
///
/// # Panics
///
/// Panics with one line for each check that found a breach.
#[track_caller]
pub fn contract<F, X>(fixture: F)
where
    F: Fn() -> X,
    X: Testable,
    X::Service: Clone,
{
    report(&general(&fixture));
}

/// Fails the test when a layer breaks the [`contract`], or one of the promises that many layers do
/// not make: [`readied_service_holds_nothing`], [`inner_error_passes_through`] and
/// [`inner_panic_passes_through`].
///
/// # Panics
///
/// Panics with one line for each check that found a breach.
#[track_caller]
pub fn strict_contract<F, X>(fixture: F)
where
    F: Fn() -> X,
    X: Testable,
    X::Service: Clone,
{
    let mut results = general(&fixture);
    results.extend(strict(&fixture));
    report(&results);
}

type Findings = Vec<Result<(), Breach>>;

fn general<F, X>(fixture: &F) -> Findings
where
    F: Fn() -> X,
    X: Testable,
    X::Service: Clone,
{
    vec![
        calls_the_polled_instance(fixture),
        waits_for_inner_readiness(fixture),
        clone_carries_no_readiness(fixture),
        inner_readiness_error_passes_through(fixture),
        registers_a_waker(fixture),
        follows_the_latest_waker(fixture),
        finished_call_frees(fixture),
        dropped_future_frees(fixture),
        dropped_response_frees(fixture),
        dropped_service_frees(fixture),
        panicking_inner_frees(fixture),
    ]
}

fn strict<F, X>(fixture: &F) -> Findings
where
    F: Fn() -> X,
    X: Testable,
{
    vec![
        readied_service_holds_nothing(fixture),
        inner_error_passes_through(fixture),
        inner_panic_passes_through(fixture),
    ]
}

#[track_caller]
fn report(results: &[Result<(), Breach>]) {
    let breaches: Vec<_> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    if breaches.is_empty() {
        return;
    }
    let lines: String = breaches
        .iter()
        .map(|breach| format!("\n  {breach}"))
        .collect();
    panic!(
        "{} of {} checks found a breach:{lines}",
        breaches.len(),
        results.len()
    );
}
