use std::pin::Pin;
use std::task::{Context, Poll};

use buttress_core::{
    Adopt, Chosen, Plain, QueueGate, Queued, QuotaSources, Reclassify, Rejected, RequestContext,
};
use tower_layer::Layer;

use crate::acquire::Acquire;
use crate::handle::RateLimit;
use crate::layer::is_too_late;
use crate::permit::Permit;
use crate::rate::Rate;
use crate::state::line::Fate;
use crate::weighted::Weighted;

/// Lets calls to a service wait for their turn when they come more often than a limit allows, first come, first served.
///
/// Made by [`RateLimit::waiting_layer`]. The service must be `Clone`, as those of axum, tonic and hyper-util are: a call that has to
/// wait takes the service that was polled with it and leaves a clone. `P` is the protocol of the calls, as in
/// [`RateLimitLayer`](crate::RateLimitLayer).
#[derive(Clone, Debug)]
pub struct WaitingRateLimitLayer<P = Plain> {
    limit: RateLimit,
    protocol: P,
}

impl WaitingRateLimitLayer {
    pub(crate) const fn of(limit: RateLimit) -> Self {
        Self {
            limit,
            protocol: Plain::new(),
        }
    }

    /// Lets calls out one by one at this rate, as a leaky bucket with a queue of 500; everything else as in [`RateLimit::builder`].
    ///
    /// # Panics
    /// When the rate makes no sense: see [`try_build`](crate::RateLimitBuilder::try_build).
    #[must_use]
    #[track_caller]
    pub fn new(rate: Rate) -> Self {
        RateLimit::builder("rate_limit")
            .leaky_bucket(rate)
            .build()
            .waiting_layer()
    }
}

impl<P> WaitingRateLimitLayer<P> {
    /// The limit whose state this layer shares.
    #[must_use]
    pub const fn limit(&self) -> &RateLimit {
        &self.limit
    }

    /// Lets a call weigh as much as `estimate` says of its request, instead of one; see
    /// [`RateLimitLayer::cost`](crate::RateLimitLayer::cost).
    #[must_use]
    pub fn cost<Req, E>(self, estimate: E) -> WaitingRateLimitLayer<Weighted<P, E>>
    where
        E: Fn(&Req) -> u32,
    {
        self.over(|protocol| Weighted::new(protocol, estimate))
    }

    /// Judges results by `classifier` instead, for what is given back; a closure goes through [`by`](buttress_core::by).
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> WaitingRateLimitLayer<P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        self.over(|protocol| protocol.with(Chosen::new(classifier)))
    }

    fn over<Q>(self, change: impl FnOnce(P) -> Q) -> WaitingRateLimitLayer<Q> {
        WaitingRateLimitLayer {
            limit: self.limit,
            protocol: change(self.protocol),
        }
    }
}

impl<P, E> WaitingRateLimitLayer<Weighted<P, E>> {
    /// Lets the answer say what the call has cost in the end; see [`ActualCost`](crate::ActualCost).
    #[must_use]
    pub fn actual<T, A>(self, actual: A) -> WaitingRateLimitLayer<Weighted<P, E, A>>
    where
        A: Fn(&T) -> Option<u32>,
    {
        self.over(|protocol| protocol.settled_by(actual))
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for WaitingRateLimitLayer<P> {
    type Adopted = WaitingRateLimitLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        self.over(|own| own.adopt(protocol))
    }

    fn quota_sources(&self, sources: &mut QuotaSources) {
        sources.extend(self.limit.quota_source());
    }
}

impl<S, P: Clone> Layer<S> for WaitingRateLimitLayer<P> {
    type Service = Queued<S, RateLimit, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Queued::new(inner, self.limit.clone(), self.protocol.clone())
    }
}

impl<Req, P: RequestContext<Req>> QueueGate<Req, P> for RateLimit {
    type Permit = Permit;
    type Wait = Acquire;

    #[inline(always)]
    fn try_admit(&self, request: &Req, protocol: &P) -> Option<Permit> {
        if is_too_late(request, protocol) {
            return None;
        }
        self.try_take_for(request, protocol)
    }

    fn queue(&self, request: &Req, protocol: &P) -> Result<Acquire, Rejected> {
        if is_too_late(request, protocol) {
            return Err(self.0.refuse_late());
        }
        Ok(self.enqueue(request, protocol))
    }

    fn poll_overdue(wait: Pin<&mut Acquire>, cx: &mut Context<'_>) -> Poll<Rejected> {
        wait.get_mut().poll_overdue(cx)
    }

    fn resume(&self, permit: &Permit, request: &Req, protocol: &P) -> Result<(), Rejected> {
        if is_too_late(request, protocol) {
            return Err(self.0.withdraw(permit.receipt(), Fate::PastDeadline));
        }
        Ok(())
    }
}

impl RateLimit {
    #[cold]
    #[inline(never)]
    fn enqueue<Req, P>(&self, request: &Req, protocol: &P) -> Acquire
    where
        P: RequestContext<Req>,
    {
        let acquire = self.acquire_many(protocol.units(request));
        match protocol.deadline(request) {
            Some(deadline) => acquire.before(deadline),
            None => acquire,
        }
    }
}
