use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::{Classify, Phases, Reason, Rejectable, Rejected};
use pin_project_lite::pin_project;

use crate::call::{Call, CallProjection, Ended, Timed};
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
        Calling { #[pin] inner: F, #[pin] call: Call, protocol: P },
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

impl<F, P> Stage<F, P> {
    #[cold]
    fn poll_refused(self: Pin<&mut Self>) -> Poll<Rejected> {
        match self.project() {
            StageProjection::Refused { rejected } => Poll::Ready(*rejected),
            // Polled after its end: there is nothing left to say.
            StageProjection::Calling { .. } | StageProjection::Over => Poll::Pending,
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
        let StageProjection::Calling {
            inner,
            mut call,
            protocol,
        } = stage.as_mut().project()
        else {
            return stage
                .poll_refused()
                .map(|rejected| Err(E::reject(rejected)));
        };
        if let Poll::Ready(result) = inner.poll(cx) {
            return Poll::Ready(finish(call.as_mut(), protocol, result));
        }
        let rejected = ready!(call.poll_overdue(cx));
        stage.set(Stage::Over);
        Poll::Ready(Err(E::reject(rejected)))
    }
}

#[inline(always)]
fn finish<T, E, P>(call: Pin<&mut Call>, protocol: &P, result: Result<T, E>) -> Result<P::Output, E>
where
    E: Rejectable,
    P: Classify<T, E> + Phases<T, BodyWatch>,
{
    let CallProjection::Timed { timed, .. } = call.project() else {
        return result.map(|answer| protocol.watch(answer, BodyWatch::of_nobody));
    };
    if timed.is_open() && timed.end(protocol.classify(result.as_ref())) == Ended::Late {
        return Err(too_late(timed, result.err()));
    }
    result.map(|answer| protocol.watch(answer, || timed.watch()))
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
