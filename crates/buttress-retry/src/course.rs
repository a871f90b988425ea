//! What of a call outlasts its attempts, and what is done between two of them.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Again, Attempt, Classify, Deadline, Mark, Name, Replay, RequestContext, ResponseContext,
    Verdict,
};
use tokio::time::Instant;
use tower_service::Service;
use tracing::{Level, Span};

use crate::budget::RetryToken;
use crate::event::Stop;
use crate::service::Template;
use crate::shared::Shared;
use crate::state::Attempts;

const TARGET: &str = "buttress::retry";

pub(crate) struct Course<S, P, Kept> {
    template: Arc<Template<S, P>>,
    kept: Option<Kept>,
    facts: Facts,
    /// Nothing in the first attempt of a call that no time is kept of: most calls never have it.
    more: Option<More>,
}

/// What is known of a request before it is sent.
#[derive(Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) repeatable: bool,
    pub(crate) retried_above: bool,
}

/// What a call has that has failed, or that time is kept of.
struct More {
    attempts: Attempts,
    /// The span of a retry; the first attempt has none of its own.
    span: Option<Span>,
}

/// A retry that was decided, and not sent yet.
pub(crate) struct Ahead<Sent> {
    request: Sent,
    token: RetryToken,
    pub(crate) delay: Duration,
    previous: Verdict,
}

impl More {
    const fn new(facts: Facts, started: Option<Instant>, deadline: Option<Deadline>) -> Self {
        Self {
            attempts: Attempts {
                retries: 0,
                waited: Duration::ZERO,
                started,
                attempt_started: started,
                deadline,
                repeatable: facts.repeatable,
                retried_above: facts.retried_above,
            },
            span: None,
        }
    }

    #[cold]
    #[inline(never)]
    fn in_span<R>(&self, poll: impl FnOnce() -> R) -> R {
        match &self.span {
            None => poll(),
            Some(span) => span.in_scope(poll),
        }
    }
}

impl<S, P, Kept> Course<S, P, Kept> {
    #[inline(always)]
    pub(crate) const fn new(
        template: Arc<Template<S, P>>,
        kept: Option<Kept>,
        facts: Facts,
    ) -> Self {
        Self {
            template,
            kept,
            facts,
            more: None,
        }
    }

    /// Keeps the time of the call, which started then.
    pub(crate) fn timed(mut self, started: Instant, deadline: Option<Deadline>) -> Self {
        self.more = Some(More::new(self.facts, Some(started), deadline));
        self
    }

    #[inline(always)]
    pub(crate) fn in_span<R>(&self, poll: impl FnOnce() -> R) -> R {
        match &self.more {
            None => poll(),
            Some(more) => more.in_span(poll),
        }
    }

    #[inline(always)]
    pub(crate) fn classify<T, E>(&self, result: Result<&T, &E>) -> Verdict
    where
        P: Classify<T, E>,
    {
        self.template.protocol.classify(result)
    }

    /// The call has succeeded.
    #[inline(always)]
    pub(crate) fn succeeded(&self) {
        match &self.more {
            None => self.template.retry.0.budget.succeeded(),
            Some(more) => self.succeeded_at_last(&more.attempts),
        }
    }

    #[cold]
    fn succeeded_at_last(&self, attempts: &Attempts) {
        let shared = &self.template.retry.0;
        if attempts.retries == 0 {
            shared.budget.succeeded();
        } else {
            shared.budget.retry_succeeded();
        }
        note_time(shared, attempts);
    }

    /// An attempt did not succeed: says whether there is another, and gets it ready.
    pub(crate) fn plan<Req, T, E>(
        &mut self,
        verdict: Verdict,
        result: Result<&T, &E>,
    ) -> Option<Ahead<P::Sent>>
    where
        P: Classify<T, E> + Replay<Req, Kept = Kept>,
    {
        let again = self.template.protocol.again(result);
        match self.prepare::<Req>(verdict, again) {
            Ok(ahead) => Some(ahead),
            Err(why) => {
                self.stop(why);
                None
            }
        }
    }

    fn prepare<Req>(
        &mut self,
        verdict: Verdict,
        again: Again,
    ) -> Result<Ahead<P::Sent>, Option<Stop>>
    where
        P: Replay<Req, Kept = Kept>,
    {
        let facts = self.facts;
        let more = self
            .more
            .get_or_insert_with(|| More::new(facts, None, None));
        let Template {
            retry, protocol, ..
        } = &*self.template;
        note_time(&retry.0, &more.attempts);
        if again == Again::No {
            return Err(None);
        }
        let (delay, token) = retry.0.next(&more.attempts, again, Instant::now())?;
        let kept = self.kept.as_mut().ok_or(Stop::NotReplayable)?;
        let request = protocol.replay(kept).ok_or(Stop::NotReplayable)?;
        let number = more.attempts.retries.saturating_add(1);
        retry.0.tell_retry(number, delay, verdict);
        Ok(Ahead {
            request,
            token,
            delay,
            previous: verdict,
        })
    }

    fn stop(&self, why: Option<Stop>) {
        if let Some(why) = why {
            let retries = self.more.as_ref().map_or(0, |more| more.attempts.retries);
            self.template.retry.0.tell_stop(retries, why);
        }
    }

    /// The service was not ready for the attempt, or not in time.
    pub(crate) fn not_ready(&self) {
        self.stop(Some(Stop::NotReady));
    }

    /// When the last attempt must have started, if there is such a time, less the wait before it.
    pub(crate) fn end(&self, delay: Duration) -> Option<Instant> {
        let attempts = &self.more.as_ref()?.attempts;
        let deadline = attempts.deadline.map(|deadline| deadline.instant());
        let total = self.template.retry.0.policy.total;
        let total = attempts.started.zip(total);
        let total = total.and_then(|(started, total)| started.checked_add(total));
        let end = deadline.into_iter().chain(total).min()?;
        Some(end.checked_sub(delay).unwrap_or(end))
    }

    pub(crate) fn discard<T>(&self, answer: T) -> P::Discard
    where
        P: ResponseContext<T>,
    {
        self.template.protocol.discard(answer)
    }

    /// A service for the next attempt.
    pub(crate) fn service(&self) -> S
    where
        S: Clone,
    {
        self.template.service.clone()
    }

    /// Sends the retry that was decided, through a service that is ready.
    pub(crate) fn send<Sent>(&mut self, ahead: Ahead<Sent>, service: &mut S) -> S::Future
    where
        S: Service<Sent>,
        P: RequestContext<Sent>,
    {
        let Ahead {
            mut request,
            token,
            delay,
            previous,
        } = ahead;
        let facts = self.facts;
        let more = self
            .more
            .get_or_insert_with(|| More::new(facts, None, None));
        let Template {
            retry, protocol, ..
        } = &*self.template;
        let attempts = &mut more.attempts;
        attempts.retries = attempts.retries.saturating_add(1);
        attempts.waited = delay;
        if attempts.deadline.is_some() {
            attempts.attempt_started = Some(Instant::now());
        }
        let attempt = Attempt {
            index: attempts.retries,
            is_last: attempts.retries >= retry.0.policy.retries,
            previous: Some(previous),
        };
        protocol.stamp(&mut request, Mark::Attempt(attempt));
        token.sent();
        // Asked first, so that a span that nobody wants to see is not so much as thought of.
        let listening = tracing::span_enabled!(target: TARGET, Level::DEBUG);
        more.span = listening.then(|| span_of(&attempt, retry.name()));
        match &more.span {
            None => service.call(request),
            Some(span) => span.in_scope(|| service.call(request)),
        }
    }
}

#[cold]
fn span_of(attempt: &Attempt, name: Name) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "retry",
        %name,
        http.request.resend_count = attempt.index,
        why = ?attempt.previous.unwrap_or_default(),
    )
}

/// An attempt of a call with a deadline has ended: how fast an answer can be.
fn note_time(shared: &Shared, attempts: &Attempts) {
    if let (Some(since), Some(_)) = (attempts.attempt_started, attempts.deadline) {
        shared.note_time(Instant::now().saturating_duration_since(since));
    }
}
