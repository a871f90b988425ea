use std::task::{Context, Poll};

use buttress_core::{Classify, Phases, Rejectable, RequestContext};
use tower_service::Service;

use crate::future::TimeoutFuture;
use crate::handle::{AdaptiveTimeout, Circumstances};
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
    fn call(&mut self, mut request: Req) -> Self::Future {
        let circumstances = Circumstances {
            deadline: self.protocol.deadline(&request),
            has_head: Phases::<S::Response, BodyWatch>::has_head(&self.protocol),
            carries_deadline: self.protocol.carries_deadline(),
        };
        match self.timeout.begin(circumstances) {
            Err(rejected) => TimeoutFuture::refused(rejected),
            Ok((call, mark)) => {
                if let Some(mark) = mark {
                    self.protocol.stamp(&mut request, mark);
                }
                TimeoutFuture::new(self.inner.call(request), call, self.protocol.clone())
            }
        }
    }
}
