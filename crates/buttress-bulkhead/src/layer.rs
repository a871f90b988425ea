use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{
    Adopt, Chosen, Plain, Priority, QueueGate, Queued, Reclassify, Rejected, RequestContext,
};
use tower_layer::Layer;

use crate::acquire::Acquire;
use crate::handle::Bulkhead;
use crate::permit::Permit;
use crate::prioritised::Prioritised;
use crate::refusing_layer::is_too_late;
use crate::state::Fate;

/// Lets calls to a service wait for a slot while too many are inside, the more important first.
///
/// Made by [`Bulkhead::layer`]. The service must be `Clone`, as those of axum, tonic and hyper-util are: a call that has to wait
/// takes the service that was polled with it and leaves a clone. `P` is the protocol of the calls: plain by default, HTTP or
/// gRPC after `.http()` or `.grpc()` of `buttress-http`, or inside its `respond`; over HTTP a call is inside until its body has
/// ended, and its [`Priority`] and [`Deadline`](buttress_core::Deadline) are looked for in the request's extensions.
#[derive(Clone, Debug)]
pub struct BulkheadLayer<P = Plain> {
    bulkhead: Bulkhead,
    protocol: P,
}

impl BulkheadLayer {
    pub(crate) const fn of(bulkhead: Bulkhead) -> Self {
        Self {
            bulkhead,
            protocol: Plain::new(),
        }
    }

    /// Lets this many calls be inside at once and 200 wait for up to 30 s; everything else as in [`Bulkhead::builder`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use buttress_bulkhead::BulkheadLayer;
    ///
    /// let layer = BulkheadLayer::new(16).queue(50).max_wait(Duration::from_secs(2));
    /// assert_eq!(layer.bulkhead().snapshot().max_queued, 50);
    /// ```
    ///
    /// # Panics
    /// When `max_concurrent` is zero or above 1 000 000.
    #[must_use]
    #[track_caller]
    pub fn new(max_concurrent: u32) -> Self {
        Bulkhead::builder("bulkhead")
            .max_concurrent(max_concurrent)
            .build()
            .layer()
    }
}

impl<P> BulkheadLayer<P> {
    /// The bulkhead whose state this layer shares.
    #[must_use]
    pub const fn bulkhead(&self) -> &Bulkhead {
        &self.bulkhead
    }

    /// Lets this many calls wait, in the bulkhead and so in all of its layers.
    ///
    /// # Panics
    /// When it is above 100 000; see [`Bulkhead::resize_queue`] for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn queue(self, calls: u32) -> Self {
        match self.bulkhead.resize_queue(calls) {
            Ok(()) => self,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `resize_queue` does not"
            )]
            Err(error) => panic!("bulkhead `{}`: {error}", self.bulkhead.name()),
        }
    }

    /// Lets a call wait this long, in the bulkhead and so in all of its layers.
    #[must_use]
    pub fn max_wait(self, duration: Duration) -> Self {
        self.bulkhead.set_max_wait(duration);
        self
    }

    /// Lets `choose` say how much a call matters, in the place of the request's extensions.
    ///
    /// A header of the request is the caller's word: whoever maps one puts a ceiling on it.
    /// ```
    /// use buttress_bulkhead::BulkheadLayer;
    /// use buttress_core::Priority;
    ///
    /// struct Query { report: bool }
    ///
    /// let layer = BulkheadLayer::new(16)
    ///     .priority(|query: &Query| if query.report { Priority::Background } else { Priority::Normal });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn priority<Req, F>(self, choose: F) -> BulkheadLayer<Prioritised<P, F>>
    where
        F: Fn(&Req) -> Priority,
    {
        BulkheadLayer {
            bulkhead: self.bulkhead,
            protocol: Prioritised::new(self.protocol, choose),
        }
    }

    /// Judges results by `classifier` instead, for the counts; a closure goes through [`by`](buttress_core::by).
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> BulkheadLayer<P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        BulkheadLayer {
            bulkhead: self.bulkhead,
            protocol: self.protocol.with(Chosen::new(classifier)),
        }
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for BulkheadLayer<P> {
    type Adopted = BulkheadLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        BulkheadLayer {
            bulkhead: self.bulkhead,
            protocol: self.protocol.adopt(protocol),
        }
    }
}

impl<S, P: Clone> Layer<S> for BulkheadLayer<P> {
    type Service = Queued<S, Bulkhead, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Queued::new(inner, self.bulkhead.clone(), self.protocol.clone())
    }
}

impl<Req, P: RequestContext<Req>> QueueGate<Req, P> for Bulkhead {
    type Permit = Permit;
    type Wait = Acquire;

    #[inline(always)]
    fn try_admit(&self, request: &Req, protocol: &P) -> Option<Permit> {
        if is_too_late(request, protocol) {
            return None;
        }
        self.try_acquire_for(request, protocol)
    }

    #[inline(always)]
    fn queue(&self, request: &Req, protocol: &P) -> Result<Acquire, Rejected> {
        if is_too_late(request, protocol) {
            return Err(self.0.turn_away(Fate::PastDeadline));
        }
        if !self.0.may_wait() {
            return Err(*self.0.refuse());
        }
        Ok(self.enqueue(request, protocol))
    }

    fn poll_overdue(wait: Pin<&mut Acquire>, cx: &mut Context<'_>) -> Poll<Rejected> {
        wait.get_mut().poll_overdue(cx)
    }

    fn resume(&self, _: &Permit, request: &Req, protocol: &P) -> Result<(), Rejected> {
        if is_too_late(request, protocol) {
            return Err(self.0.turn_away(Fate::PastDeadline));
        }
        Ok(())
    }
}

impl Bulkhead {
    #[cold]
    #[inline(never)]
    fn enqueue<Req, P>(&self, request: &Req, protocol: &P) -> Acquire
    where
        P: RequestContext<Req>,
    {
        let acquire = self.acquire(protocol.priority(request).unwrap_or_default());
        match protocol.deadline(request) {
            Some(deadline) => acquire.before(deadline),
            None => acquire,
        }
    }
}
