//! What of a call outlasts its attempts, and what is done between two of them.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Again, Attempt, Classify, Deadline, Mark, Recover, Replay, RequestContext, ResponseContext,
    Verdict,
};
use tokio::time::Instant;
use tower_service::Service;
use tracing::Span;

use crate::budget::RetryToken;
use crate::event::Stop;
use crate::service::Template;
use crate::shared::Shared;
use crate::span;
use crate::state::Attempts;

mod start;

pub(crate) use self::start::{Facts, Start};

pub(crate) struct Course<S, P, Kept> {
    template: Arc<Template<S, P>>,
    kept: Option<Kept>,
    facts: Facts,
    /// Nothing in the first attempt of a call that no time is kept of, and nobody looks at: most calls never have it.
    more: Option<More>,
}

/// What a call has that has failed, that time is kept of, or that somebody looks at.
struct More {
    attempts: Attempts,
    /// That of the attempt that runs, if anybody wants to see it.
    span: Option<Span>,
}

/// A retry that was decided, and not sent yet.
pub(crate) struct Ahead<Sent> {
    request: Sent,
    token: RetryToken,
    pub(crate) delay: Duration,
    /// When it may start.
    pub(crate) due: Instant,
    previous: Verdict,
}

impl More {
    fn new(facts: Facts, start: Start) -> Self {
        Self {
            attempts: Attempts {
                retries: 0,
                waited: Duration::ZERO,
                started: start.at,
                attempt_started: start.at,
                deadline: start.deadline,
                repeatable: facts.repeatable,
                retried_above: facts.retried_above,
            },
            span: start.span,
        }
    }

    #[cold]
    #[inline(never)]
    fn in_span<R>(&self, poll: impl FnOnce() -> R) -> R {
        span::within(self.span.as_ref(), poll)
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

    pub(crate) fn started(mut self, start: Start) -> Self {
        self.more = Some(More::new(self.facts, start));
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
        result: &mut Result<T, E>,
    ) -> Option<Ahead<P::Sent>>
    where
        P: Classify<T, E> + Replay<Req, Kept = Kept> + Recover<E, P::Sent>,
    {
        let again = self.template.protocol.again(result.as_ref());
        if let (Ok(_), Some(more)) = (&*result, &self.more) {
            note_time(&self.template.retry.0, &more.attempts);
        }
        match self.prepare::<Req, E>(verdict, again, result.as_mut().err()) {
            Ok(ahead) => Some(ahead),
            Err(why) => {
                self.stop(why);
                None
            }
        }
    }

    fn prepare<Req, E>(
        &mut self,
        verdict: Verdict,
        again: Again,
        error: Option<&mut E>,
    ) -> Result<Ahead<P::Sent>, Option<Stop>>
    where
        P: Replay<Req, Kept = Kept> + Recover<E, P::Sent>,
    {
        let facts = self.facts;
        let more = self
            .more
            .get_or_insert_with(|| More::new(facts, Start::default()));
        let Template {
            retry, protocol, ..
        } = &*self.template;
        // Of the attempt that is over.
        more.span = None;
        if again == Again::No {
            return Err(None);
        }
        // Whoever gives the request back has not sent it. Whether the error does is not asked before all else is settled.
        more.attempts.repeatable = facts.repeatable || (P::MAY && error.is_some());
        let now = Instant::now();
        let (delay, token) = retry.0.next(&more.attempts, again, now)?;
        let request = match error.and_then(|error| protocol.recover(error)) {
            Some(unsent) => unsent,
            None if !facts.repeatable && again != Again::NotSent => {
                return Err(Some(Stop::NotRepeatable));
            }
            None => {
                let kept = self.kept.as_mut().ok_or(Stop::NotReplayable)?;
                protocol.replay(kept).ok_or(Stop::NotReplayable)?
            }
        };
        let number = more.attempts.retries.saturating_add(1);
        retry.0.tell_retry(number, delay, verdict);
        Ok(Ahead {
            request,
            token,
            delay,
            due: Deadline::after(now, delay).instant(),
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

    /// When the last attempt must have started, if there is such a time.
    pub(crate) fn end(&self) -> Option<Instant> {
        let attempts = &self.more.as_ref()?.attempts;
        let shared = &self.template.retry.0;
        let deadline = attempts.deadline.map(Deadline::instant);
        let deadline = deadline.map(|end| end.checked_sub(shared.fastest()).unwrap_or(end));
        let total = attempts.started.zip(shared.policy.total);
        let total = total.and_then(|(started, total)| started.checked_add(total));
        deadline.into_iter().chain(total).min()
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
            ..
        } = ahead;
        let facts = self.facts;
        let more = self
            .more
            .get_or_insert_with(|| More::new(facts, Start::default()));
        let Template {
            retry, protocol, ..
        } = &*self.template;
        let attempts = &mut more.attempts;
        attempts.retries = attempts.retries.saturating_add(1);
        attempts.waited = delay;
        // The clock is read only for a call that has a deadline.
        if attempts.deadline.is_some()
            && let Some(mark) = attempts.start_again(Instant::now(), retry.0.announces)
        {
            protocol.stamp(&mut request, mark);
        }
        let attempt = Attempt {
            index: attempts.retries,
            is_last: attempts.retries >= retry.0.policy.retries,
            previous: Some(previous),
        };
        protocol.stamp(&mut request, Mark::Attempt(attempt));
        if retry.0.announces {
            protocol.stamp(&mut request, Mark::Retry(attempt.index));
        }
        token.sent();
        more.span = span::of_retry(retry.name(), &attempt);
        span::within(more.span.as_ref(), || service.call(request))
    }
}

/// An attempt of a call with a deadline was answered: how fast an answer can be. An error may be faster than any answer.
fn note_time(shared: &Shared, attempts: &Attempts) {
    if let (Some(since), Some(_)) = (attempts.attempt_started, attempts.deadline) {
        shared.note_time(Instant::now().saturating_duration_since(since));
    }
}
