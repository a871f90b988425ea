use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{
    Classify, Deadline, Mark, Recover, Repeatable, Replay, RequestContext, ResponseContext,
};
use tokio::time::Instant;
use tower_service::Service;

use crate::course::{Facts, Start};
use crate::future::RetryFuture;
use crate::handle::Retry;
use crate::span;

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
    fn call(&mut self, request: Req) -> Self::Future {
        let Template {
            retry, protocol, ..
        } = &*self.template;
        let shared = &*retry.0;
        shared.budget.requested();
        let deadline = RequestContext::<Req>::deadline(protocol, &request);
        if self.template.has_preamble || deadline.is_some() || span::may_be_seen() {
            return self.call_with_preamble(request, deadline);
        }
        let facts = Facts::of(protocol, &request);
        let (sent, kept) = protocol.prepare(request, &shared.memory);
        let attempt = self.inner.call(sent);
        RetryFuture::new(attempt, Arc::clone(&self.template), kept, facts)
    }
}

impl<S, P> RetryService<S, P> {
    /// Gives the request its key, notes when the call started, makes its span: each where it is wanted.
    #[cold]
    #[inline(never)]
    fn call_with_preamble<Req>(
        &mut self,
        mut request: Req,
        deadline: Option<Deadline>,
    ) -> RetryFuture<S, P, Req>
    where
        P: Replay<Req> + Repeatable<Req> + RequestContext<Req> + ResponseContext<S::Response>,
        S: Service<<P as Replay<Req>>::Sent>,
    {
        let Template {
            retry, protocol, ..
        } = &*self.template;
        let shared = &*retry.0;
        if shared.wants_key {
            protocol.stamp(&mut request, Mark::IdempotencyKey(shared.key()));
        }
        let timed = deadline.is_some() || shared.policy.total.is_some();
        let start = Start {
            at: timed.then(Instant::now),
            deadline,
            span: span::of_first(shared.name),
        };
        let facts = Facts::of(protocol, &request);
        let (sent, kept) = protocol.prepare(request, &shared.memory);
        let attempt = span::within(start.span.as_ref(), || self.inner.call(sent));
        RetryFuture::started(attempt, Arc::clone(&self.template), kept, facts, start)
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
