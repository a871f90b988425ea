//! What stands between two attempts of a call.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use buttress_core::{RequestContext, ResponseContext};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use crate::course::{Ahead, Course};

pin_project! {
    // No variant for each step: so a look at three fields is all that dropping it takes, and no call that fails never drops one.
    #[project = Parts]
    pub(super) struct Between<S, P, R>
    where
        S: Service<R>,
        P: ResponseContext<S::Response>,
    {
        step: Step,
        // Whether the next attempt may start as soon as there is a service that is ready.
        waited: bool,
        // The next attempt, until it is sent.
        ahead: Option<Ahead<R>>,
        // What sends it.
        service: Option<S>,
        // Kept while it may still be the answer; an answer that is no error only until there is a service that is ready, for what
        // it stands on is needed elsewhere.
        answer: Option<Result<S::Response, S::Error>>,
        // Reads the answer to its end, so that its connection can be used again.
        #[pin]
        discard: Option<P::Discard>,
        // Of the wait, or of the time in which the service must be ready.
        #[pin]
        timer: Option<Sleep>,
    }
}

/// How long the end of an answer is waited for, as `buttress-http` does it.
const LONGEST_READ: Duration = Duration::from_millis(50);

/// What comes next.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Ready,
    Leave,
    Discard,
    Wait,
    Over,
}

type ResultOf<S, R> = Result<<S as Service<R>>::Response, <S as Service<R>>::Error>;

impl<S, P, R> Between<S, P, R>
where
    S: Service<R>,
    P: ResponseContext<S::Response>,
{
    pub(super) const fn new(ahead: Ahead<R>, service: S, answer: ResultOf<S, R>) -> Self {
        Self {
            step: Step::Ready,
            waited: false,
            ahead: Some(ahead),
            service: Some(service),
            answer: Some(answer),
            discard: None,
            timer: None,
        }
    }

    pub(super) const fn step(&self) -> Step {
        self.step
    }

    /// Goes on to the next attempt, or fails with the answer when there is none.
    pub(super) fn poll<K>(
        self: Pin<&mut Self>,
        course: &mut Course<S, P, K>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Future, ResultOf<S, R>>>
    where
        S: Clone,
        P: RequestContext<R>,
    {
        let mut this = self.project();
        loop {
            match *this.step {
                Step::Ready => {
                    if let Err(last) = ready!(this.make_ready(course, cx)) {
                        return Poll::Ready(Err(last));
                    }
                    if *this.waited {
                        return this.send(course);
                    }
                    *this.step = Step::Leave;
                }
                Step::Leave => match this.answer.take() {
                    Some(Ok(answer)) if this.has_time_to_read(course) => {
                        this.discard(course.discard(answer));
                    }
                    answer => {
                        // Without an end to the wait nobody would ever get it.
                        let is_error = matches!(answer, Some(Err(_)));
                        *this.answer = answer.filter(|_| is_error && course.end().is_some());
                        this.wait_unless_at_once(course);
                    }
                },
                Step::Discard => {
                    if let Some(discard) = this.discard.as_mut().as_pin_mut() {
                        ready!(discard.poll(cx));
                    }
                    this.discard.set(None);
                    this.wait_unless_at_once(course);
                }
                Step::Wait => {
                    if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                        ready!(timer.poll(cx));
                    }
                    this.timer.set(None);
                    this.ready_with(course);
                }
                Step::Over => return Poll::Pending,
            }
        }
    }
}

impl<S, P, R> Parts<'_, S, P, R>
where
    S: Service<R>,
    P: ResponseContext<S::Response>,
{
    /// How long the next attempt waits.
    fn delay(&self) -> Duration {
        let ahead = self.ahead.as_ref();
        ahead.map_or(Duration::ZERO, |ahead| ahead.delay)
    }

    fn discard(&mut self, discard: P::Discard) {
        // While it waits it must hold nothing that it has reserved.
        if !self.delay().is_zero() {
            *self.service = None;
        }
        self.discard.set(Some(discard));
        *self.step = Step::Discard;
    }

    fn wait_unless_at_once<K>(&mut self, course: &Course<S, P, K>)
    where
        S: Clone,
    {
        match self.ahead {
            Some(ahead) if !ahead.delay.is_zero() => {
                *self.service = None;
                // What it took to read the answer is part of the wait.
                self.timer.set(Some(sleep_until(ahead.due)));
                *self.step = Step::Wait;
            }
            _ => self.ready_with(course),
        }
    }

    /// Whether reading an answer to its end cannot make the next attempt late.
    fn has_time_to_read<K>(&self, course: &Course<S, P, K>) -> bool {
        let decided = |ahead: &Ahead<R>| ahead.due.checked_sub(ahead.delay);
        let decided = self.ahead.as_ref().and_then(decided);
        let times = course.end().zip(decided);
        times.is_none_or(|(end, decided)| end.saturating_duration_since(decided) >= LONGEST_READ)
    }

    fn ready_with<K>(&mut self, course: &Course<S, P, K>)
    where
        S: Clone,
    {
        self.service.get_or_insert_with(|| course.service());
        (*self.step, *self.waited) = (Step::Ready, true);
    }

    fn send<K>(&mut self, course: &mut Course<S, P, K>) -> Poll<Result<S::Future, ResultOf<S, R>>>
    where
        P: RequestContext<R>,
    {
        (*self.step, *self.answer) = (Step::Over, None);
        match (self.ahead.take(), &mut *self.service) {
            (Some(ahead), Some(service)) => Poll::Ready(Ok(course.send(ahead, service))),
            _ => Poll::Pending,
        }
    }

    /// Waits until the service is ready; with an answer in hand, no longer than the time allows, and fails with that answer. Where
    /// the time has no end that wait does not begin before the answer is gone: it may hold what is waited for.
    fn make_ready<K>(
        &mut self,
        course: &Course<S, P, K>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ResultOf<S, R>>> {
        let Some(service) = self.service else {
            return Poll::Pending;
        };
        let error = match service.poll_ready(cx) {
            Poll::Ready(Ok(())) => {
                self.timer.set(None);
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending if !*self.waited && course.end().is_none() => {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending => {
                ready!(self.time_is_over(course, cx));
                match self.answer.take() {
                    Some(answer) => answer,
                    None => return Poll::Pending,
                }
            }
        };
        (*self.step, *self.ahead) = (Step::Over, None);
        course.not_ready();
        Poll::Ready(Err(self.answer.take().unwrap_or(error)))
    }

    /// When the service must be ready, if there is such a time: the wait that is still to come is taken off.
    fn last_start<K>(&self, course: &Course<S, P, K>) -> Option<Instant> {
        let end = course.end()?;
        let ahead = if *self.waited {
            Duration::ZERO
        } else {
            self.delay()
        };
        Some(end.checked_sub(ahead).unwrap_or(end))
    }

    /// Waits for the end of the time in which the service must be ready, if there is one and an answer to give then.
    fn time_is_over<K>(&mut self, course: &Course<S, P, K>, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(end), true) = (self.last_start(course), self.answer.is_some()) else {
            return Poll::Pending;
        };
        if self.timer.is_none() {
            self.timer.set(Some(sleep_until(end)));
        }
        let timer = self.timer.as_mut().as_pin_mut();
        timer.map_or(Poll::Pending, |timer| timer.poll(cx))
    }
}
