use buttress_core::{
    Adopt, Chosen, Gate, Guarded, Plain, Priority, Reclassify, Rejected, RequestContext,
};
use tokio::time::Instant;
use tower_layer::Layer;

use crate::handle::Bulkhead;
use crate::permit::Permit;
use crate::prioritised::Prioritised;
use crate::state::Fate;

/// Refuses calls to a service while too many are inside; never waits, and works before any service.
///
/// Made by [`Bulkhead::refusing_layer`]. `P` is the protocol of the calls: plain by default, HTTP or gRPC after `.http()` or
/// `.grpc()` of `buttress-http`, or inside its `respond`; over HTTP a call is inside until its body has ended.
#[derive(Clone, Debug)]
pub struct RefusingBulkheadLayer<P = Plain> {
    bulkhead: Bulkhead,
    protocol: P,
}

impl RefusingBulkheadLayer {
    pub(crate) const fn of(bulkhead: Bulkhead) -> Self {
        Self {
            bulkhead,
            protocol: Plain::new(),
        }
    }

    /// Lets this many calls be inside at once; everything else as in [`Bulkhead::builder`].
    ///
    /// # Panics
    /// When `max_concurrent` is zero or above 1 000 000.
    #[must_use]
    #[track_caller]
    pub fn new(max_concurrent: u32) -> Self {
        Bulkhead::builder("bulkhead")
            .max_concurrent(max_concurrent)
            .build()
            .refusing_layer()
    }
}

impl<P> RefusingBulkheadLayer<P> {
    /// The bulkhead whose state this layer shares.
    #[must_use]
    pub const fn bulkhead(&self) -> &Bulkhead {
        &self.bulkhead
    }

    /// Judges results by `classifier` instead, for the counts; a closure goes through [`by`](buttress_core::by).
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> RefusingBulkheadLayer<P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        RefusingBulkheadLayer {
            bulkhead: self.bulkhead,
            protocol: self.protocol.with(Chosen::new(classifier)),
        }
    }
}

impl<P> RefusingBulkheadLayer<P> {
    /// Lets `choose` say how much a call matters; see [`BulkheadLayer::priority`](crate::BulkheadLayer::priority). It only
    /// matters for slots that are reserved for critical calls.
    #[must_use]
    pub fn priority<Req, F>(self, choose: F) -> RefusingBulkheadLayer<Prioritised<P, F>>
    where
        F: Fn(&Req) -> Priority,
    {
        RefusingBulkheadLayer {
            bulkhead: self.bulkhead,
            protocol: Prioritised::new(self.protocol, choose),
        }
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for RefusingBulkheadLayer<P> {
    type Adopted = RefusingBulkheadLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        RefusingBulkheadLayer {
            bulkhead: self.bulkhead,
            protocol: self.protocol.adopt(protocol),
        }
    }
}

impl<S, P: Clone> Layer<S> for RefusingBulkheadLayer<P> {
    type Service = Guarded<S, Bulkhead, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, self.bulkhead.clone(), self.protocol.clone())
    }
}

impl<Req, P: RequestContext<Req>> Gate<Req, P> for Bulkhead {
    type Permit = Permit;

    #[inline(always)]
    fn admit(&self, request: &Req, protocol: &P) -> Result<Permit, Rejected> {
        if is_too_late(request, protocol) {
            return Err(self.0.turn_away(Fate::PastDeadline));
        }
        match self.try_acquire_for(request, protocol) {
            Some(permit) => Ok(permit),
            None => Err(*self.0.refuse()),
        }
    }
}

impl Bulkhead {
    /// Takes a slot for this request, if one is free; asks for its priority only where that makes a difference.
    #[inline(always)]
    pub(crate) fn try_acquire_for<Req, P>(&self, request: &Req, protocol: &P) -> Option<Permit>
    where
        P: RequestContext<Req>,
    {
        let priority = || protocol.priority(request).unwrap_or_default();
        self.try_acquire_as(priority)
    }
}

/// Whether nobody waits for the answer to this request any more. Reads the clock only if it has a deadline.
#[inline(always)]
pub(crate) fn is_too_late<Req, P: RequestContext<Req>>(request: &Req, protocol: &P) -> bool {
    protocol
        .deadline(request)
        .is_some_and(|deadline| deadline.has_passed(Instant::now()))
}
