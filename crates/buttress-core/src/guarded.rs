use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Completion, Gate, Rejectable, Rejected, Settle, Verdict};

// `inline(always)` here, in `Plain` and in the permits: left to itself the compiler makes three calls of what is then a dozen
// instructions. Counted, see `benches`.

/// Stands before a service and lets a [`Gate`] decide on every call.
///
/// The one service of all gates that decide at once. [`poll_ready`](Service::poll_ready) only passes on what the inner
/// service says, and takes nothing, so an idle service that was polled holds no slot and no probe. The decision falls in
/// [`call`](Service::call), and the instance that was polled is the instance that is called.
///
/// # Cancel safety
/// Dropping the future drops the inner future and gives the permit back in the same moment, unsettled: nobody knows how the
/// call would have ended. A panic of the inner service settles it as a failure and goes on to the caller.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<S, G, P> {
    inner: S,
    gate: G,
    protocol: P,
}

impl<S, G, P> Guarded<S, G, P> {
    /// Puts `gate` before `inner`, for calls of this protocol.
    pub const fn new(inner: S, gate: G, protocol: P) -> Self {
        Self {
            inner,
            gate,
            protocol,
        }
    }

    /// The service behind the gate.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, G, P, Req> Service<Req> for Guarded<S, G, P>
where
    S: Service<Req>,
    S::Error: Rejectable,
    G: Gate<Req, P>,
    P: Completion<S::Response, S::Error, G::Permit> + Clone,
{
    type Response = P::Output;
    type Error = S::Error;
    type Future = GuardedFuture<S::Future, G::Permit, P>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, mut request: Req) -> Self::Future {
        match self.gate.admit(&request, &self.protocol) {
            Err(rejected) => GuardedFuture::refused(rejected),
            Ok(permit) => {
                self.gate.mark(&permit, &mut request, &self.protocol);
                GuardedFuture::call(&mut self.inner, request, permit, self.protocol.clone())
            }
        }
    }
}

pin_project! {
    /// The future of a call behind a gate: the inner future and what the call holds, or a refusal.
    ///
    /// Made by [`Guarded`] and, without tower, by [`run`](crate::run).
    #[must_use = "futures do nothing unless polled"]
    pub struct GuardedFuture<F, Permit, P> {
        #[pin]
        stage: Stage<F, Permit, P>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, Permit, P> {
        // The order matters: when a future is dropped, the work ends before its slot is free again.
        Calling { #[pin] inner: F, permit: Option<Permit>, protocol: P },
        Refused { rejected: Rejected },
    }
}

impl<F, Permit: Settle, P> GuardedFuture<F, Permit, P> {
    /// Waits for `inner`, holding `permit`.
    #[inline]
    pub const fn admitted(inner: F, permit: Permit, protocol: P) -> Self {
        Self {
            stage: Stage::Calling {
                inner,
                permit: Some(permit),
                protocol,
            },
        }
    }

    /// Refuses the call.
    #[cold]
    #[inline(never)]
    pub const fn refused(rejected: Rejected) -> Self {
        Self::refused_in_place(rejected)
    }

    /// The same, for a caller that makes the refusal part of something larger and would only copy it.
    #[inline(always)]
    pub(crate) const fn refused_in_place(rejected: Rejected) -> Self {
        Self {
            stage: Stage::Refused { rejected },
        }
    }

    /// Calls `service`, which must be ready, under `permit`.
    #[inline(always)]
    pub(crate) fn call<S, Req>(service: &mut S, request: Req, permit: Permit, protocol: P) -> Self
    where
        S: Service<Req, Future = F>,
    {
        let mut held = Some(permit);
        let inner = failing_on_unwind(&mut held, || service.call(request));
        Self {
            stage: Stage::Calling {
                inner,
                permit: held,
                protocol,
            },
        }
    }
}

impl<F, Permit, P, T, E> Future for GuardedFuture<F, Permit, P>
where
    F: Future<Output = Result<T, E>>,
    E: Rejectable,
    Permit: Settle,
    P: Completion<T, E, Permit>,
{
    type Output = Result<P::Output, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().stage.project() {
            StageProjection::Refused { rejected } => Poll::Ready(Err(E::reject(*rejected))),
            StageProjection::Calling {
                inner,
                permit,
                protocol,
            } => {
                let result = ready!(failing_on_unwind(permit, || inner.poll(cx)));
                match permit.take() {
                    Some(permit) => Poll::Ready(protocol.complete(permit, result)),
                    // Polled after it had ended, and the inner future took that too: there is nothing left to say.
                    None => Poll::Pending,
                }
            }
        }
    }
}

/// Runs code that is not ours, of a service or a body; a panic in it settles the permit as a failure on its way up.
#[inline(always)]
pub fn failing_on_unwind<Permit: Settle, R>(
    permit: &mut Option<Permit>,
    work: impl FnOnce() -> R,
) -> R {
    struct Unwinding<'a, Permit: Settle>(&'a mut Option<Permit>);

    impl<Permit: Settle> Drop for Unwinding<'_, Permit> {
        #[cold]
        fn drop(&mut self) {
            if let Some(permit) = self.0.take() {
                permit.settle(Verdict::Failure);
            }
        }
    }

    let unwinding = Unwinding(permit);
    let result = work();
    mem::forget(unwinding);
    result
}

impl<F, Permit, P> fmt::Debug for GuardedFuture<F, Permit, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("GuardedFuture");
        match &self.stage {
            Stage::Calling { .. } => debug.field(&"calling"),
            Stage::Refused { rejected } => debug.field(rejected),
        };
        debug.finish()
    }
}
