use std::task::{Context, Poll};

use buttress_core::{Classify, Phases, Rejectable, RequestContext};
use tower_service::Service;

use crate::call::Call;
use crate::future::TimeoutFuture;
use crate::handle::AdaptiveTimeout;
use crate::watch::BodyWatch;

/// The service of [`AdaptiveTimeoutLayer`](crate::AdaptiveTimeoutLayer).
///
/// [`poll_ready`](Service::poll_ready) only passes on what the inner service says, and its time is not limited here; the instance that
/// was polled is the instance that is called.
#[derive(Clone, Debug)]
pub struct AdaptiveTimeoutService<S, P> {
    inner: S,
    timeout: AdaptiveTimeout,
    protocol: P,
}

impl<S, P> AdaptiveTimeoutService<S, P> {
    pub(crate) const fn new(inner: S, timeout: AdaptiveTimeout, protocol: P) -> Self {
        Self {
            inner,
            timeout,
            protocol,
        }
    }

    /// The service behind the timeout.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, P, Req> Service<Req> for AdaptiveTimeoutService<S, P>
where
    S: Service<Req>,
    S::Error: Rejectable,
    P: RequestContext<Req> + Classify<S::Response, S::Error>,
    P: Phases<S::Response, BodyWatch> + Clone,
{
    type Response = P::Output;
    type Error = S::Error;
    type Future = TimeoutFuture<S::Future, P>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let has_head = Phases::<S::Response, BodyWatch>::has_head(&self.protocol);
        if let Some(fixed) = self.timeout.fixed_limit()
            && !has_head
            && self.protocol.deadline(&request).is_none()
        {
            let (inner, protocol) = (self.inner.call(request), self.protocol.clone());
            return TimeoutFuture::new(inner, Call::fixed(fixed), protocol);
        }
        self.call_timed(request, has_head)
    }
}

impl<S, P> AdaptiveTimeoutService<S, P> {
    // Apart from the above, so that the small future of a plain call is made where it stays.
    #[inline]
    fn call_timed<Req>(&mut self, mut request: Req, has_head: bool) -> TimeoutFuture<S::Future, P>
    where
        S: Service<Req>,
        P: RequestContext<Req> + Clone,
    {
        let deadline = self.protocol.deadline(&request);
        let now = match self.timeout.enter(deadline) {
            Ok(now) => now,
            Err(rejected) => return TimeoutFuture::refused(rejected),
        };
        if self.protocol.carries_deadline()
            && let Some(mark) = self.timeout.mark(now, deadline)
        {
            self.protocol.stamp(&mut request, mark);
        }
        let timed = self.timeout.begin(now, deadline, has_head);
        let (inner, protocol) = (self.inner.call(request), self.protocol.clone());
        TimeoutFuture::new(inner, Call::timed(timed), protocol)
    }
}
