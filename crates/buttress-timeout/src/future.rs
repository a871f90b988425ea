use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::{Classify, Phases, Reason, Rejectable, Rejected};
use buttress_timer::Timer;
use pin_project_lite::pin_project;

use crate::call::{Call, Ended, Timed};
use crate::watch::BodyWatch;

pin_project! {
    /// The future of a call whose time is limited: the inner future and its timer, or a refusal.
    ///
    /// Made by [`AdaptiveTimeoutService`](crate::AdaptiveTimeoutService). When the time is over the inner future is dropped before
    /// this one ends.
    #[must_use = "futures do nothing unless polled"]
    pub struct TimeoutFuture<F, P> {
        #[pin]
        stage: Stage<F, P>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, P> {
        // The order matters: when a future is dropped, the work ends before its time is taken.
        Calling { #[pin] inner: F, #[pin] timer: Timer, call: Call, protocol: P },
        Refused { rejected: Rejected },
        Over,
    }
}

impl<F, P> TimeoutFuture<F, P> {
    #[inline(always)]
    pub(crate) const fn new(inner: F, call: Call, protocol: P) -> Self {
        Self {
            stage: Stage::Calling {
                inner,
                timer: Timer::new(),
                call,
                protocol,
            },
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) const fn refused(rejected: Rejected) -> Self {
        Self {
            stage: Stage::Refused { rejected },
        }
    }
}

impl<F, P, T, E> Future for TimeoutFuture<F, P>
where
    F: Future<Output = Result<T, E>>,
    E: Rejectable,
    P: Classify<T, E> + Phases<T, BodyWatch>,
{
    type Output = Result<P::Output, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        let rejected = match stage.as_mut().project() {
            StageProjection::Calling {
                inner,
                timer,
                call,
                protocol,
            } => match inner.poll(cx) {
                Poll::Ready(result) => return Poll::Ready(finish(call, protocol, result)),
                Poll::Pending => ready!(call.poll_overdue(timer, cx)),
            },
            StageProjection::Refused { rejected } => return Poll::Ready(Err(E::reject(*rejected))),
            // Polled after its end: there is nothing left to say.
            StageProjection::Over => return Poll::Pending,
        };
        stage.set(Stage::Over);
        Poll::Ready(Err(E::reject(rejected)))
    }
}

#[inline(always)]
fn finish<T, E, P>(call: &mut Call, protocol: &P, result: Result<T, E>) -> Result<P::Output, E>
where
    E: Rejectable,
    P: Classify<T, E> + Phases<T, BodyWatch>,
{
    if let Call::Fixed(_) = call {
        return result.map(|answer| protocol.watch(answer, BodyWatch::of_nobody));
    }
    match call.end(|| protocol.classify(result.as_ref())) {
        Ended::Unwatched => result.map(|answer| protocol.watch(answer, BodyWatch::of_nobody)),
        Ended::Timed(call) => result.map(|answer| protocol.watch(answer, || call.watch())),
        Ended::Late(call) => Err(too_late(&call, result.err())),
    }
}

/// What ended badly after the deadline is over by the deadline, whatever it says itself; but who has said so already keeps the word.
#[cold]
fn too_late<E: Rejectable>(call: &Timed, error: Option<E>) -> E {
    let says_so = |error: &E| {
        let rejection = error.rejection();
        rejection.is_some_and(|rejected| rejected.reason() == Reason::DeadlineExceeded)
    };
    error
        .filter(says_so)
        .unwrap_or_else(|| E::reject(call.too_late()))
}

impl<F, P> fmt::Debug for TimeoutFuture<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("TimeoutFuture");
        match &self.stage {
            Stage::Calling { .. } => debug.field(&"calling"),
            Stage::Refused { rejected } => debug.field(rejected),
            Stage::Over => debug.field(&"over"),
        };
        debug.finish()
    }
}
