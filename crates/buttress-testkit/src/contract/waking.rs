use std::pin::pin;
use std::task::{Context, Poll};

use tower_service::Service;

use super::readiness::begin;
use crate::breach::{Breach, Finding, ensure, examine};
use crate::controls::Controls;
use crate::life::MOST_STEPS;
use crate::script::{Readiness, Script};
use crate::testable::Testable;
use crate::waker::CountingWaker;

/// Checks that a pending service or call is woken when something changed, and not before.
///
/// Fails for the layer that returns `Pending` without having passed its waker on, and for the one
/// that wakes itself to be polled again.
///
/// # Errors
///
/// The breach, if there is one.
pub fn registers_a_waker<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("registers_a_waker", || watch(fixture, 1))
}

/// Checks that a service or call that moves to another task wakes the new one.
///
/// Polls twice with different wakers before anything changes; only the second counts.
///
/// # Errors
///
/// The breach, if there is one.
pub fn follows_the_latest_waker<F, X>(fixture: F) -> Result<(), Breach>
where
    F: Fn() -> X,
    X: Testable,
{
    examine("follows_the_latest_waker", || watch(fixture, 2))
}

/// Watches readiness and then a call, each polled by so many tasks in turn.
fn watch<F, X>(fixture: F, tasks: usize) -> Finding
where
    F: Fn() -> X,
    X: Testable,
{
    let slow_to_ready = Script::default().readiness(Readiness::After(1)).by_hand();
    let subject = fixture().playing(move |_| slow_to_ready);
    let mut service = subject.service();
    is_woken(&subject.controls(), tasks, |cx| {
        service.poll_ready(cx).map(drop)
    })
    .map_err(|seen| format!("poll_ready {seen}"))?;

    let slow_to_answer = Script::default().suspensions(1).by_hand();
    let subject = fixture().playing(move |_| slow_to_answer);
    let mut service = subject.service();
    let mut future = pin!(begin(&subject, &mut service)?);
    is_woken(&subject.controls(), tasks, |cx| {
        future.as_mut().poll(cx).map(drop)
    })
    .map_err(|seen| format!("the response future {seen}"))
}

/// Polls with one waker after the other, lets go, and follows the last waker to the end.
fn is_woken(
    controls: &Controls,
    tasks: usize,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Finding {
    let mut waker = CountingWaker::new();
    for _ in 0..tasks {
        waker = CountingWaker::new();
        let pending = poll(&mut waker.context()).is_pending();
        ensure(pending, || "was ready before the inner one was".into())?;
        ensure(waker.take() == 0, || {
            "woke its task though nothing had changed".into()
        })?;
    }
    controls.release();
    for _ in 0..MOST_STEPS {
        ensure(waker.take() > 0, || {
            "was pending and did not wake its task on a change".into()
        })?;
        if poll(&mut waker.context()).is_ready() {
            return Ok(());
        }
    }
    Err("woke its task again and again and never ended".into())
}
