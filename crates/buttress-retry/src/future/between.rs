//! What stands between two attempts of a call.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use buttress_core::{RequestContext, ResponseContext};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep, sleep_until};
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
        // The next attempt, until it is sent.
        ahead: Option<Ahead<R>>,
        // What sends it.
        service: Option<S>,
        // Kept until there is a service that is ready, where the time for that has an end; then it is the answer.
        answer: Option<Result<S::Response, S::Error>>,
        // Reads the answer to its end, so that its connection can be used again.
        #[pin]
        discard: Option<P::Discard>,
        // Of the wait, or of the time in which the service must be ready.
        #[pin]
        timer: Option<Sleep>,
    }
}

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
                    if this.answer.is_none() {
                        return this.send(course);
                    }
                    *this.step = Step::Leave;
                }
                Step::Leave => match this.answer.take() {
                    Some(Ok(answer)) => this.discard(course.discard(answer)),
                    _ => this.wait_unless_at_once(course),
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
        let delay = self.delay();
        if delay.is_zero() {
            return self.ready_with(course);
        }
        *self.service = None;
        self.timer.set(Some(sleep(delay)));
        *self.step = Step::Wait;
    }

    fn ready_with<K>(&mut self, course: &Course<S, P, K>)
    where
        S: Clone,
    {
        self.service.get_or_insert_with(|| course.service());
        *self.step = Step::Ready;
    }

    fn send<K>(&mut self, course: &mut Course<S, P, K>) -> Poll<Result<S::Future, ResultOf<S, R>>>
    where
        P: RequestContext<R>,
    {
        *self.step = Step::Over;
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
            Poll::Pending if self.answer.is_some() && course.end(self.delay()).is_none() => {
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

    /// Waits for the end of the time in which the service must be ready, if there is one and an answer to give then.
    fn time_is_over<K>(&mut self, course: &Course<S, P, K>, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(end), true) = (course.end(self.delay()), self.answer.is_some()) else {
            return Poll::Pending;
        };
        if self.timer.is_none() {
            self.timer.set(Some(sleep_until(end)));
        }
        let timer = self.timer.as_mut().as_pin_mut();
        timer.map_or(Poll::Pending, |timer| timer.poll(cx))
    }
}
