use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{Classify, Mark, Replay, RequestContext, ResponseContext};
use tokio::time::Instant;
use tower_service::Service;

use crate::course::Facts;
use crate::future::RetryFuture;
use crate::handle::Retry;

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
    /// Whether calls do more than to be counted before they are sent: one look instead of one for each setting.
    has_preamble: bool,
}

impl<S: Clone, P> RetryService<S, P> {
    pub(crate) fn new(inner: S, retry: Retry, protocol: P) -> Self {
        let service = inner.clone();
        let has_preamble = retry.0.wants_key || retry.0.policy.total.is_some();
        let template = Template {
            retry,
            protocol,
            service,
            has_preamble,
        };
        Self {
            inner,
            template: Arc::new(template),
        }
    }
}

impl<S, P> Template<S, P> {
    /// Gives the request its key, where it is to have one, and says when the call started, where that matters.
    #[cold]
    fn begin<Req>(&self, request: &mut Req, has_deadline: bool) -> Option<Instant>
    where
        P: RequestContext<Req>,
    {
        let shared = &*self.retry.0;
        if shared.wants_key {
            let key = Mark::IdempotencyKey(shared.key());
            self.protocol.stamp(request, key);
        }
        (has_deadline || shared.policy.total.is_some()).then(Instant::now)
    }
}

impl<S, P, Req> Service<Req> for RetryService<S, P>
where
    P: Replay<Req> + RequestContext<Req> + RequestContext<<P as Replay<Req>>::Sent>,
    P: Classify<S::Response, S::Error> + ResponseContext<S::Response>,
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
        let deadline = RequestContext::<Req>::deadline(protocol, &request);
        let started = if self.template.has_preamble || deadline.is_some() {
            self.template.begin(&mut request, deadline.is_some())
        } else {
            None
        };
        let facts = Facts {
            repeatable: protocol.repeatable(&request),
            retried_above: protocol.is_retry(&request),
        };
        let (sent, kept) = protocol.prepare(request, &shared.memory);
        let attempt = self.inner.call(sent);
        let template = Arc::clone(&self.template);
        match started {
            None => RetryFuture::new(attempt, template, kept, facts),
            Some(started) => RetryFuture::timed(attempt, template, kept, facts, started, deadline),
        }
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
