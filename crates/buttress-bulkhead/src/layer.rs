use buttress_core::{Adopt, Chosen, Gate, Guarded, Plain, Reclassify, Rejected};
use tower_layer::Layer;

use crate::handle::Bulkhead;
use crate::permit::Permit;

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

impl<Req, P> Gate<Req, P> for Bulkhead {
    type Permit = Permit;

    #[inline]
    fn admit(&self, _: &Req, _: &P) -> Result<Permit, Rejected> {
        self.try_acquire()
    }
}
