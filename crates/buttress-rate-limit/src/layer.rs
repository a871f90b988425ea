use std::sync::Arc;

use buttress_core::{
    Adopt, Chosen, Gate, Guarded, Plain, QuotaSources, Reclassify, Rejected, RequestContext,
};
use tokio::time::Instant;
use tower_layer::Layer;

use crate::handle::RateLimit;
use crate::permit::Permit;
use crate::rate::Rate;
use crate::weighted::Weighted;

/// Refuses calls to a service that come more often than a limit allows; never waits, and works before any service.
///
/// Made by [`RateLimit::layer`]. `P` is the protocol of the calls: plain by default, HTTP or gRPC after `.http()` or `.grpc()` of
/// `buttress-http`, or inside its `respond`, which tells the client what is left of its quota.
#[derive(Clone, Debug)]
pub struct RateLimitLayer<P = Plain> {
    limit: RateLimit,
    protocol: P,
}

impl RateLimitLayer {
    pub(crate) const fn of(limit: RateLimit) -> Self {
        Self {
            limit,
            protocol: Plain::new(),
        }
    }

    /// Limits calls to this rate, as a token bucket; everything else as in [`RateLimit::builder`].
    ///
    /// ```
    /// use buttress_rate_limit::{Rate, RateLimitLayer};
    ///
    /// let layer = RateLimitLayer::new(Rate::per_second(100).burst(1000));
    /// # let _ = layer;
    /// ```
    ///
    /// # Panics
    /// When the rate makes no sense: see [`try_build`](crate::RateLimitBuilder::try_build).
    #[must_use]
    #[track_caller]
    pub fn new(rate: Rate) -> Self {
        RateLimit::builder("rate_limit")
            .token_bucket(rate)
            .build()
            .layer()
    }
}

impl<P> RateLimitLayer<P> {
    /// The limit whose state this layer shares.
    #[must_use]
    pub const fn limit(&self) -> &RateLimit {
        &self.limit
    }

    /// Lets a call weigh as much as `estimate` says of its request, instead of one; [`actual`](RateLimitLayer::actual) says after it
    /// what it has cost. A call that weighs more than the limit's capacity is refused without a time to come back: it never fits.
    ///
    /// ```
    /// use buttress_rate_limit::{Rate, RateLimit};
    ///
    /// struct Prompt { max_tokens: u32 }
    /// struct Completion { used_tokens: u32 }
    ///
    /// let tokens = RateLimit::builder("llm-tokens").token_bucket(Rate::per_minute(100_000)).build();
    /// let layer = tokens
    ///     .layer()
    ///     .cost(|prompt: &Prompt| prompt.max_tokens)
    ///     .actual(|completion: &Completion| Some(completion.used_tokens));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn cost<Req, E>(self, estimate: E) -> RateLimitLayer<Weighted<P, E>>
    where
        E: Fn(&Req) -> u32,
    {
        self.over(|protocol| Weighted::new(protocol, estimate))
    }

    /// Judges results by `classifier` instead, for what is given back; a closure goes through [`by`](buttress_core::by).
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> RateLimitLayer<P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        self.over(|protocol| protocol.with(Chosen::new(classifier)))
    }

    fn over<Q>(self, change: impl FnOnce(P) -> Q) -> RateLimitLayer<Q> {
        RateLimitLayer {
            limit: self.limit,
            protocol: change(self.protocol),
        }
    }
}

impl<P, E> RateLimitLayer<Weighted<P, E>> {
    /// Lets the answer say what the call has cost in the end; see [`ActualCost`](crate::ActualCost).
    #[must_use]
    pub fn actual<T, A>(self, actual: A) -> RateLimitLayer<Weighted<P, E, A>>
    where
        A: Fn(&T) -> Option<u32>,
    {
        self.over(|protocol| protocol.settled_by(actual))
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for RateLimitLayer<P> {
    type Adopted = RateLimitLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        self.over(|own| own.adopt(protocol))
    }

    fn quota_sources(&self, sources: &mut QuotaSources) {
        sources.extend(self.limit.quota_source());
    }
}

impl<S, P: Clone> Layer<S> for RateLimitLayer<P> {
    type Service = Guarded<S, RateLimit, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, self.limit.clone(), self.protocol.clone())
    }
}

impl<Req, P: RequestContext<Req>> Gate<Req, P> for RateLimit {
    type Permit = Permit;

    #[inline(always)]
    fn admit(&self, request: &Req, protocol: &P) -> Result<Permit, Rejected> {
        if is_too_late(request, protocol) {
            return Err(self.0.refuse_late());
        }
        self.take_for(request, protocol)
    }
}

impl RateLimit {
    /// Takes what this request weighs, if it is there. Keeps a reference in the permit only where somebody asks for it again.
    #[inline(always)]
    pub(crate) fn take_for<Req, P>(&self, request: &Req, protocol: &P) -> Result<Permit, Rejected>
    where
        P: RequestContext<Req>,
    {
        self.0.take(protocol.units(request), |receipt| {
            let shared = protocol.follows_quota().then(|| Arc::clone(&self.0));
            Permit::new(shared, receipt)
        })
    }

    /// The same, without a word where it cannot be done at once.
    #[inline(always)]
    pub(crate) fn try_take_for<Req, P>(&self, request: &Req, protocol: &P) -> Option<Permit>
    where
        P: RequestContext<Req>,
    {
        let receipt = self.0.try_take(protocol.units(request))?;
        let shared = protocol.follows_quota().then(|| Arc::clone(&self.0));
        Some(Permit::new(shared, receipt))
    }
}

/// Whether nobody waits for the answer to this request any more. Reads the clock only if it has a deadline.
#[inline(always)]
pub(crate) fn is_too_late<Req, P: RequestContext<Req>>(request: &Req, protocol: &P) -> bool {
    protocol
        .deadline(request)
        .is_some_and(|deadline| deadline.has_passed(Instant::now()))
}
