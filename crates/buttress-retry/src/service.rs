use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{Classify, Mark, Recover, Repeatable, Replay, RequestContext, ResponseContext};
use tokio::time::Instant;
use tower_service::Service;

use crate::future::RetryFuture;
use crate::handle::Retry;
use crate::state::Attempts;

/// The service of [`RetryBudgetLayer`](crate::RetryBudgetLayer).
///
/// [`poll_ready`](Service::poll_ready) only passes on what the inner service says; the instance that was polled makes the first
/// attempt.
#[derive(Clone)]
pub struct RetryService<S, P> {
    inner: S,
    template: Arc<Template<S, P>>,
}

/// What every call holds: the state, and the service that further attempts are cloned from.
pub(crate) struct Template<S, P> {
    pub(crate) retry: Retry,
    pub(crate) protocol: P,
    pub(crate) service: S,
}

impl<S: Clone, P> RetryService<S, P> {
    pub(crate) fn new(inner: S, retry: Retry, protocol: P) -> Self {
        let service = inner.clone();
        let template = Template {
            retry,
            protocol,
            service,
        };
        Self {
            inner,
            template: Arc::new(template),
        }
    }
}

impl<S, P, Req> Service<Req> for RetryService<S, P>
where
    P: Replay<Req> + Repeatable<Req> + RequestContext<Req>,
    P: RequestContext<<P as Replay<Req>>::Sent>,
    P: Classify<S::Response, S::Error> + ResponseContext<S::Response>,
    P: Recover<S::Error, <P as Replay<Req>>::Sent>,
    S: Service<<P as Replay<Req>>::Sent> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, P, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let Template {
            retry, protocol, ..
        } = &*self.template;
        let shared = &*retry.0;
        shared.budget.requested();
        if shared.wants_key {
            protocol.stamp(&mut request, Mark::IdempotencyKey(shared.key()));
        }
        let deadline = RequestContext::<Req>::deadline(protocol, &request);
        let timed = deadline.is_some() || shared.policy.total.is_some();
        let started = timed.then(Instant::now);
        let attempts = Attempts {
            retries: 0,
            waited: Duration::ZERO,
            started,
            attempt_started: started,
            deadline,
            repeatable: protocol.repeatable(&request),
            retried_above: protocol.is_retry(&request),
        };
        let (sent, kept) = protocol.prepare(request, &shared.memory);
        let inner = self.inner.call(sent);
        RetryFuture::new(inner, Arc::clone(&self.template), kept, attempts)
    }
}

impl<S: fmt::Debug, P> fmt::Debug for RetryService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryService")
            .field("inner", &self.inner)
            .field("retry", &self.template.retry)
            .finish_non_exhaustive()
    }
}
