use std::convert::Infallible;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use crate::cast::{Cast, Fail, Turn};
use crate::controls::Controls;
use crate::error::{ProbeError, ScriptedPanic};
use crate::future::ProbeFuture;
use crate::parking::Suspension;
use crate::script::{Ending, Readiness, Script};
use crate::tally::{Live, Presence};

/// An inner service that plays a [`Script`], counts everything, and fails the test when it is called
/// without its own readiness.
///
/// Each instance needs one report of readiness for each call, and a clone starts without one. A
/// *turn* is one such round: it begins with the first `poll_ready`, which draws the turn's script,
/// and ends with the call. All clones share one count of turns and one set of [`Counts`].
///
/// The request is of any type. The response is a [`Live`] and the error a [`ProbeError`] unless
/// [`responding`](Probe::responding), [`failing`](Probe::failing) or
/// [`infallible`](Probe::infallible) say otherwise. The response future is deliberately not `Unpin`.
///
/// [`Counts`]: crate::Counts
///
/// # Examples
///
/// ```
/// use buttress_testkit::{Ending, Probe, Script};
/// use std::time::Duration;
/// use tower::{Layer, ServiceExt, timeout::TimeoutLayer};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let probe = Probe::new(Script::new(Ending::Hang));
/// let controls = probe.controls();
/// let service = TimeoutLayer::new(Duration::from_millis(1)).layer(probe);
///
/// assert!(service.oneshot("a request").await.is_err());
/// assert_eq!(controls.counts().live_futures, 0);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// `call` panics when this instance has not reported readiness since its last call, and the response
/// future when it is polled after it ended; also when the script asks for a panic, see
/// [`ScriptedPanic`].
pub struct Probe<T = Live, E = ProbeError> {
    cast: Arc<Cast<T, E>>,
    state: State,
}

impl Probe {
    /// Plays the same script in every turn.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self::with_plan(move |_| script)
    }

    /// Plays in each turn the script that `plan` chooses; the first turn is 0.
    #[must_use]
    pub fn with_plan(plan: impl Fn(u64) -> Script + Send + Sync + 'static) -> Self {
        Self::recast(Cast {
            tally: Arc::default(),
            plan: Arc::new(plan),
            respond: Arc::new(|live| live),
            fail: Some(Arc::new(|error| error)),
        })
    }
}

impl<T, E> Probe<T, E> {
    /// Makes responses with `respond`.
    ///
    /// The call counts as open until the [`Live`] is dropped: put it into the response, or into its
    /// body, whose end is then the end of the call.
    #[must_use]
    pub fn responding<U>(self, respond: impl Fn(Live) -> U + Send + Sync + 'static) -> Probe<U, E> {
        Probe::recast(Cast {
            tally: Arc::clone(&self.cast.tally),
            plan: Arc::clone(&self.cast.plan),
            respond: Arc::new(respond),
            fail: self.cast.fail.clone(),
        })
    }

    /// Makes errors with `fail`.
    #[must_use]
    pub fn failing<F>(self, fail: impl Fn(ProbeError) -> F + Send + Sync + 'static) -> Probe<T, F> {
        self.refit(Some(Arc::new(fail)))
    }

    /// Makes the error type [`Infallible`], as axum's services have it.
    ///
    /// A script that asks for an error is then a fault of the test, and panics.
    #[must_use]
    pub fn infallible(self) -> Probe<T, Infallible> {
        self.refit(None)
    }

    /// Plays `plan` from here on; counts and turns go on.
    #[must_use]
    pub fn playing(self, plan: impl Fn(u64) -> Script + Send + Sync + 'static) -> Self {
        Self::recast(Cast {
            tally: Arc::clone(&self.cast.tally),
            plan: Arc::new(plan),
            respond: Arc::clone(&self.cast.respond),
            fail: self.cast.fail.clone(),
        })
    }

    /// The handle that reads the counts and releases what waits by hand.
    #[must_use]
    pub fn controls(&self) -> Controls {
        Controls {
            tally: Arc::clone(&self.cast.tally),
        }
    }

    pub(crate) fn is_fallible(&self) -> bool {
        self.cast.fail.is_some()
    }

    /// Another instance as new as the first: no clone, and not counted as one.
    pub(crate) fn another(&self) -> Self {
        Self::instance(Arc::clone(&self.cast), State::Fresh)
    }

    fn refit<F>(self, fail: Option<Fail<F>>) -> Probe<T, F> {
        Probe::recast(Cast {
            tally: Arc::clone(&self.cast.tally),
            plan: Arc::clone(&self.cast.plan),
            respond: Arc::clone(&self.cast.respond),
            fail,
        })
    }

    fn recast(cast: Cast<T, E>) -> Self {
        Self::instance(Arc::new(cast), State::Fresh)
    }

    fn instance(cast: Arc<Cast<T, E>>, state: State) -> Self {
        cast.tally.services.enter();
        Self { cast, state }
    }

    fn get_ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), E>> {
        if self.state.awaits_a_turn() {
            let turn = self.cast.draw();
            self.state = State::Pending {
                turn,
                suspension: turn.script.wait_for_readiness(),
            };
        }
        let State::Pending { turn, suspension } = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let turn = *turn;
        match turn.script.readiness {
            Readiness::AtOnce | Readiness::After(_) => {
                ready!(suspension.poll(&self.cast.tally, cx));
                self.state = State::Ready(turn);
                Poll::Ready(Ok(()))
            }
            Readiness::Never => Poll::Pending,
            Readiness::Fails => {
                self.state = State::Failed;
                Poll::Ready(Err(self.cast.error(turn.number)))
            }
        }
    }

    fn spend_readiness(&mut self) -> Turn {
        let breach = match mem::replace(&mut self.state, State::Spent) {
            State::Ready(turn) => return turn,
            State::Fresh => "this instance was never polled ready",
            State::Cloned => "it is a clone, and readiness does not carry over to a clone",
            State::Pending { .. } => "its readiness was still pending",
            State::Spent => "one report of readiness allows one call",
            State::Failed => "its readiness had failed",
        };
        self.cast.tally.breach(&format!(
            "the inner service was called without its own readiness: {breach}"
        ))
    }
}

impl<T, E, Req> Service<Req> for Probe<T, E> {
    type Response = T;
    type Error = E;
    type Future = ProbeFuture<T, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.cast.tally.readiness_polls.fetch_add(1, Relaxed);
        self.get_ready(cx)
    }

    fn call(&mut self, _: Req) -> Self::Future {
        self.cast.tally.calls.fetch_add(1, Relaxed);
        let turn = self.spend_readiness();
        if turn.script.ending == Ending::PanicInCall {
            ScriptedPanic::raise();
        }
        ProbeFuture::new(
            Arc::clone(&self.cast),
            turn,
            Presence::new(&self.cast.tally),
        )
    }
}

/// Starts without readiness, whatever the original has.
impl<T, E> Clone for Probe<T, E> {
    fn clone(&self) -> Self {
        self.cast.tally.clones.fetch_add(1, Relaxed);
        Self::instance(Arc::clone(&self.cast), State::Cloned)
    }
}

impl<T, E> Drop for Probe<T, E> {
    fn drop(&mut self) {
        self.cast.tally.services.leave();
    }
}

impl<T, E> fmt::Debug for Probe<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Script {
    fn wait_for_readiness(&self) -> Suspension {
        let polls = match self.readiness {
            Readiness::After(polls) => polls,
            _ => 0,
        };
        Suspension::new(polls, self.waking)
    }
}

/// Where one instance stands with its readiness.
#[derive(Debug)]
enum State {
    Fresh,
    Cloned,
    Pending { turn: Turn, suspension: Suspension },
    Ready(Turn),
    Spent,
    Failed,
}

impl State {
    fn awaits_a_turn(&self) -> bool {
        !matches!(self, Self::Pending { .. } | Self::Ready(_))
    }
}
