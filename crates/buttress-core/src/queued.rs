use std::fmt;
use std::future::Future;
use std::mem;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Completion, GuardedFuture, QueueGate, Rejectable, failing_on_unwind};

/// Stands before a service and lets a [`QueueGate`] decide on every call: at once, or after a wait.
///
/// The waiting twin of [`Guarded`](crate::Guarded). [`poll_ready`](Service::poll_ready) only passes on what the inner service
/// says, and takes nothing. A call that is let in at once goes to the instance that was polled, and nothing is cloned.
///
/// A call that must wait takes that instance with it, with whatever the inner service has reserved for it; a clone stays here.
/// After the wait the instance is polled again, because it may be ready no longer, and then called. This readiness is part of
/// the call: the permit is held meanwhile, for as long as the gate allows, and an error of it is judged as the call's.
///
/// # Cancel safety
/// Dropping the future drops the inner future, or what waits for its turn, and then gives back the permit, unsettled, or the
/// place in the queue: nobody knows how the call would have ended. A panic of the inner service settles the permit as a failure
/// and goes on to the caller.
#[derive(Clone, Copy, Debug)]
pub struct Queued<S, G, P> {
    inner: S,
    gate: G,
    protocol: P,
}

impl<S, G, P> Queued<S, G, P> {
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

    /// Calls the inner service, which must be ready.
    #[inline(always)]
    fn start<Req>(
        &mut self,
        mut request: Req,
        permit: G::Permit,
    ) -> GuardedFuture<S::Future, G::Permit, P>
    where
        S: Service<Req>,
        G: QueueGate<Req, P>,
        P: Clone,
    {
        self.gate.mark(&permit, &mut request, &self.protocol);
        GuardedFuture::call(&mut self.inner, request, permit, self.protocol.clone())
    }

    /// Lets the instance that was polled wait with its request; a clone takes its place.
    #[cold]
    #[inline(never)]
    fn park<Req>(&mut self, request: Req, wait: G::Wait) -> QueuedFuture<S, Req, G, P>
    where
        S: Service<Req> + Clone,
        G: QueueGate<Req, P> + Clone,
        P: Clone,
    {
        let clone = self.clone();
        let service = mem::replace(self, clone);
        let turn = Turn {
            parked: Some(Parked { service, request }),
            permit: None,
            waits: true,
            wait,
        };
        let stage = Stage::Queued { turn };
        QueuedFuture { stage }
    }
}

impl<S, G, P, Req> Service<Req> for Queued<S, G, P>
where
    S: Service<Req> + Clone,
    S::Error: Rejectable,
    G: QueueGate<Req, P> + Clone,
    P: Completion<S::Response, S::Error, G::Permit> + Clone,
{
    type Response = P::Output;
    type Error = S::Error;
    type Future = QueuedFuture<S, Req, G, P>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        if let Some(permit) = self.gate.try_admit(&request, &self.protocol) {
            return QueuedFuture::called(self.start(request, permit));
        }
        // Only what waits goes out of line: a full queue refuses for about what a gate without one takes.
        match self.gate.queue(&request, &self.protocol) {
            Ok(wait) => self.park(request, wait),
            Err(rejected) => QueuedFuture::called(GuardedFuture::refused_in_place(rejected)),
        }
    }
}

/// What waits for its turn: the instance that was polled, with its gate and its protocol, and the request.
struct Parked<S, Req, G, P> {
    service: Queued<S, G, P>,
    request: Req,
}

pin_project! {
    /// The future of a call behind a gate with a queue: the wait for its turn, if there is one, and then the call.
    ///
    /// Made by [`Queued`].
    #[must_use = "futures do nothing unless polled"]
    pub struct QueuedFuture<S, Req, G, P>
    where
        S: Service<Req>,
        G: QueueGate<Req, P>,
    {
        #[pin]
        stage: Stage<S, Req, G, P>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, Req, G, P>
    where
        S: Service<Req>,
        G: QueueGate<Req, P>,
    {
        Called { #[pin] call: GuardedFuture<S::Future, G::Permit, P> },
        Queued { #[pin] turn: Turn<S, Req, G, P> },
    }
}

pin_project! {
    // A type of its own: as further stages its parts made the drop of every call a call of a function. Counted.
    struct Turn<S, Req, G, P>
    where
        S: Service<Req>,
        G: QueueGate<Req, P>,
    {
        // The order matters: what the inner service has reserved is free before the slot is, which may lie with a wait that was
        // not polled since.
        parked: Option<Parked<S, Req, G, P>>,
        permit: Option<G::Permit>,
        waits: bool,
        #[pin]
        wait: G::Wait,
    }
}

impl<S, Req, G, P> QueuedFuture<S, Req, G, P>
where
    S: Service<Req>,
    G: QueueGate<Req, P>,
{
    #[inline(always)]
    const fn called(call: GuardedFuture<S::Future, G::Permit, P>) -> Self {
        Self {
            stage: Stage::Called { call },
        }
    }
}

impl<S, Req, G, P> Future for QueuedFuture<S, Req, G, P>
where
    S: Service<Req>,
    S::Error: Rejectable,
    G: QueueGate<Req, P>,
    P: Completion<S::Response, S::Error, G::Permit> + Clone,
{
    type Output = Result<P::Output, S::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            match stage.as_mut().project() {
                StageProjection::Called { call } => return call.poll(cx),
                StageProjection::Queued { turn } => match ready!(turn.poll(cx)) {
                    ControlFlow::Continue(call) => stage.set(Stage::Called { call }),
                    ControlFlow::Break(result) => return Poll::Ready(result),
                },
            }
        }
    }
}

impl<S, Req, G, P> Turn<S, Req, G, P>
where
    S: Service<Req>,
    G: QueueGate<Req, P>,
    P: Completion<S::Response, S::Error, G::Permit> + Clone,
{
    /// Goes on with the call, or with its refusal; breaks off with the error of a readiness.
    #[cold]
    #[inline(never)]
    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Begun<P::Output, S::Error, GuardedFuture<S::Future, G::Permit, P>>> {
        let mut this = self.project();
        let rejected = loop {
            if !*this.waits {
                let polled = Parked::poll(this.parked, this.permit, cx);
                if polled.is_ready() || this.permit.is_none() {
                    return polled;
                }
                break ready!(G::poll_overdue(this.wait, cx));
            }
            match ready!(this.wait.as_mut().poll(cx)) {
                Ok(permit) => (*this.permit, *this.waits) = (Some(permit), false),
                Err(rejected) => break rejected,
            }
        };
        (*this.parked, *this.permit) = (None, None);
        Poll::Ready(ControlFlow::Continue(GuardedFuture::refused(rejected)))
    }
}

impl<S, Req, G, P> Parked<S, Req, G, P>
where
    S: Service<Req>,
    G: QueueGate<Req, P>,
    P: Completion<S::Response, S::Error, G::Permit> + Clone,
{
    /// Makes the call once the instance is ready; takes both then.
    fn poll(
        parked: &mut Option<Self>,
        permit: &mut Option<G::Permit>,
        cx: &mut Context<'_>,
    ) -> Poll<Begun<P::Output, S::Error, GuardedFuture<S::Future, G::Permit, P>>> {
        // Neither is there once the call has ended; after a panic one of them is not.
        let Some((waiting, _)) = parked.as_mut().zip(permit.as_ref()) else {
            return Poll::Pending;
        };
        let inner = &mut waiting.service.inner;
        let readiness = ready!(failing_on_unwind(permit, || inner.poll_ready(cx)));
        let Some((parked, permit)) = parked.take().zip(permit.take()) else {
            return Poll::Pending;
        };
        Poll::Ready(match readiness {
            Ok(()) => ControlFlow::Continue(parked.resume(permit)),
            Err(error) => ControlFlow::Break(parked.fail(permit, error)),
        })
    }

    /// Makes the call, unless it comes too late.
    fn resume(mut self, permit: G::Permit) -> GuardedFuture<S::Future, G::Permit, P> {
        let Queued { gate, protocol, .. } = &self.service;
        match gate.resume(&permit, &self.request, protocol) {
            Ok(()) => self.service.start(self.request, permit),
            Err(rejected) => {
                drop(self);
                GuardedFuture::refused(rejected)
            }
        }
    }

    /// Ends the call with the error of the readiness.
    fn fail(self, permit: G::Permit, error: S::Error) -> Result<P::Output, S::Error> {
        let service = self.service;
        drop((service.inner, self.request));
        service.protocol.complete(permit, Err(error))
    }
}

/// What a turn comes to: a call, or a result without one.
type Begun<T, E, Call> = ControlFlow<Result<T, E>, Call>;

impl<S, Req, G, P> fmt::Debug for QueuedFuture<S, Req, G, P>
where
    S: Service<Req>,
    G: QueueGate<Req, P>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("QueuedFuture");
        match &self.stage {
            Stage::Called { call } => debug.field(call),
            Stage::Queued { turn } => debug.field(match turn {
                Turn { waits: true, .. } => &"waiting",
                Turn { .. } => &"readying",
            }),
        };
        debug.finish()
    }
}
