//! What of a call outlasts its attempts, and what is done between two of them.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Again, Attempt, Classify, Mark, Recover, Replay, RequestContext, ResponseContext, Verdict,
};
use tokio::time::Instant;
use tower_service::Service;
use tracing::Span;

use crate::budget::RetryToken;
use crate::event::Stop;
use crate::service::Template;
use crate::state::Attempts;

pub(crate) struct Course<S, P, Kept, Sent> {
    template: Arc<Template<S, P>>,
    kept: Option<Kept>,
    attempts: Attempts,
    ahead: Option<Ahead<Sent>>,
    /// The span of a retry; the first attempt has none of its own.
    span: Option<Span>,
}

/// A retry that was decided, and not sent yet.
struct Ahead<Sent> {
    request: Sent,
    token: RetryToken,
    delay: Duration,
    previous: Verdict,
}

impl<S, P, Kept, Sent> Course<S, P, Kept, Sent> {
    #[inline(always)]
    pub(crate) const fn new(
        template: Arc<Template<S, P>>,
        kept: Option<Kept>,
        attempts: Attempts,
    ) -> Self {
        Self {
            template,
            kept,
            attempts,
            ahead: None,
            span: None,
        }
    }

    #[inline(always)]
    pub(crate) fn in_span<R>(&self, poll: impl FnOnce() -> R) -> R {
        match &self.span {
            None => poll(),
            Some(span) => span.in_scope(poll),
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
        if self.attempts.retries == 0 && self.attempts.started.is_none() {
            self.template.retry.0.budget.succeeded();
        } else {
            self.succeeded_at_last();
        }
    }

    #[cold]
    fn succeeded_at_last(&self) {
        let shared = &self.template.retry.0;
        if self.attempts.retries == 0 {
            shared.budget.succeeded();
        } else {
            shared.budget.retry_succeeded();
        }
        self.note_time();
    }

    /// An attempt of a call with a deadline has ended: how fast an answer can be.
    fn note_time(&self) {
        if let (Some(since), Some(_)) = (self.attempts.attempt_started, self.attempts.deadline) {
            let taken = Instant::now().saturating_duration_since(since);
            self.template.retry.0.note_time(taken);
        }
    }

    /// An attempt did not succeed: says whether there is another, and gets it ready.
    #[cold]
    pub(crate) fn plan<Req, T, E>(&mut self, verdict: Verdict, result: &mut Result<T, E>) -> bool
    where
        P: Classify<T, E> + Replay<Req, Kept = Kept, Sent = Sent> + Recover<E, Sent>,
    {
        self.note_time();
        match self.prepare::<Req, _, _>(verdict, result) {
            Ok(()) => true,
            Err(why) => {
                self.stop(why);
                false
            }
        }
    }

    fn prepare<Req, T, E>(
        &mut self,
        verdict: Verdict,
        result: &mut Result<T, E>,
    ) -> Result<(), Option<Stop>>
    where
        P: Classify<T, E> + Replay<Req, Kept = Kept, Sent = Sent> + Recover<E, Sent>,
    {
        let Template {
            retry, protocol, ..
        } = &*self.template;
        let again = protocol.again(result.as_ref());
        if again == Again::No {
            return Err(None);
        }
        let call = Attempts {
            // Whatever gives the request back has not sent it; what does not is looked at again below.
            repeatable: self.attempts.repeatable || (P::MAY && result.is_err()),
            ..self.attempts
        };
        let (delay, token) = retry.0.next(&call, again, Instant::now())?;
        let request = match result
            .as_mut()
            .err()
            .and_then(|error| protocol.recover(error))
        {
            Some(unsent) => unsent,
            None if self.attempts.repeatable || again == Again::NotSent => {
                let kept = self.kept.as_mut().ok_or(Stop::NotReplayable)?;
                protocol.replay(kept).ok_or(Stop::NotReplayable)?
            }
            None => return Err(Some(Stop::NotRepeatable)),
        };
        let number = self.attempts.retries.saturating_add(1);
        retry.0.tell_retry(number, delay, verdict);
        self.ahead = Some(Ahead {
            request,
            token,
            delay,
            previous: verdict,
        });
        Ok(())
    }

    fn stop(&self, why: Option<Stop>) {
        if let Some(why) = why {
            let retries = self.attempts.retries;
            self.template.retry.0.tell_stop(retries, why);
        }
    }

    /// The service was not ready for the attempt, or not in time.
    pub(crate) fn not_ready(&mut self) {
        self.ahead = None;
        self.stop(Some(Stop::NotReady));
    }

    /// How long the next attempt waits.
    pub(crate) fn delay(&self) -> Duration {
        let delay = self.ahead.as_ref().map(|ahead| ahead.delay);
        delay.unwrap_or_default()
    }

    /// When the last attempt must have started, if there is such a time, less the wait before it.
    pub(crate) fn end(&self) -> Option<Instant> {
        let deadline = self.attempts.deadline.map(|deadline| deadline.instant());
        let total = self.template.retry.0.policy.total;
        let total = self.attempts.started.zip(total);
        let total = total.and_then(|(started, total)| started.checked_add(total));
        let end = deadline.into_iter().chain(total).min()?;
        Some(end.checked_sub(self.delay()).unwrap_or(end))
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
    pub(crate) fn send(&mut self, service: &mut S) -> Option<S::Future>
    where
        S: Service<Sent>,
        P: RequestContext<Sent>,
    {
        let Ahead {
            mut request,
            token,
            delay,
            previous,
        } = self.ahead.take()?;
        let Template {
            retry, protocol, ..
        } = &*self.template;
        let attempts = &mut self.attempts;
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
        if retry.0.announces {
            protocol.stamp(&mut request, Mark::Retry(attempt.index));
        }
        token.sent();
        let span = tracing::debug_span!(
            target: "buttress::retry",
            "retry",
            name = %retry.name(),
            http.request.resend_count = attempt.index,
            why = ?previous,
        );
        let sent = span.in_scope(|| service.call(request));
        self.span = (!span.is_disabled()).then_some(span);
        Some(sent)
    }
}
