use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buttress_core::{Classify, Recover, Replay, RequestContext, ResponseContext, Verdict};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep, sleep_until};
use tower_service::Service;

use crate::course::Course;
use crate::service::Template;
use crate::state::Attempts;

pin_project! {
    /// The future of a call that may be tried again.
    ///
    /// # Cancel safety
    /// Dropping it ends the attempt that runs; a retry that was let go and not sent goes back into the budget.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, P, Req>
    where
        S: Service<<P as Replay<Req>>::Sent>,
        P: Replay<Req>,
        P: ResponseContext<S::Response>,
    {
        #[pin]
        stage: Stage<
            S::Future,
            <P as ResponseContext<S::Response>>::Discard,
            S,
            Result<S::Response, S::Error>,
        >,
        course: Course<S, P, <P as Replay<Req>>::Kept, <P as Replay<Req>>::Sent>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, D, S, A> {
        // An attempt runs.
        Calling { #[pin] attempt: F },
        // The next attempt wants a service that is ready. The answer is kept until there is one, or the time is over.
        Readying { service: Option<S>, answer: Option<A>, #[pin] limit: Option<Sleep> },
        // The answer is read to its end, so that its connection can be used again.
        Discarding { #[pin] discard: D, service: Option<S> },
        // The wait before the next attempt.
        Waiting { #[pin] sleep: Sleep },
        Over,
    }
}

impl<S, P, Req> RetryFuture<S, P, Req>
where
    S: Service<<P as Replay<Req>>::Sent>,
    P: Replay<Req> + ResponseContext<S::Response>,
{
    #[inline(always)]
    pub(crate) const fn new(
        attempt: S::Future,
        template: Arc<Template<S, P>>,
        kept: Option<<P as Replay<Req>>::Kept>,
        attempts: Attempts,
    ) -> Self {
        Self {
            stage: Stage::Calling { attempt },
            course: Course::new(template, kept, attempts),
        }
    }
}

impl<S, P, Req> Future for RetryFuture<S, P, Req>
where
    P: Replay<Req> + RequestContext<<P as Replay<Req>>::Sent>,
    P: Classify<S::Response, S::Error> + ResponseContext<S::Response>,
    P: Recover<S::Error, <P as Replay<Req>>::Sent>,
    S: Service<<P as Replay<Req>>::Sent> + Clone,
{
    type Output = Result<S::Response, S::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let StageProjection::Calling { attempt } = this.stage.as_mut().project() {
                let mut result = ready!(this.course.in_span(|| attempt.poll(cx)));
                let verdict = this.course.classify(result.as_ref());
                if verdict == Verdict::Success {
                    this.course.succeeded();
                    return Poll::Ready(result);
                }
                if !this.course.plan::<Req, _, _>(verdict, &mut result) {
                    return Poll::Ready(result);
                }
                let service = Some(this.course.service());
                this.stage.set(Stage::readying(service, Some(result)));
            }
            let ended = ready!(between::<S, P, Req>(this.stage.as_mut(), this.course, cx));
            if let Some(result) = ended {
                this.stage.set(Stage::Over);
                return Poll::Ready(result);
            }
        }
    }
}

/// The stage of a call.
type StageOf<S, P, Req> = Stage<
    <S as Service<<P as Replay<Req>>::Sent>>::Future,
    <P as ResponseContext<<S as Service<<P as Replay<Req>>::Sent>>::Response>>::Discard,
    S,
    Result<
        <S as Service<<P as Replay<Req>>::Sent>>::Response,
        <S as Service<<P as Replay<Req>>::Sent>>::Error,
    >,
>;

type CourseOf<S, P, Req> = Course<S, P, <P as Replay<Req>>::Kept, <P as Replay<Req>>::Sent>;

type ResultOf<S, R> = Result<<S as Service<R>>::Response, <S as Service<R>>::Error>;

/// Goes from one attempt to the next. Ready with a result when there is no next one, with nothing when it runs.
#[cold]
#[inline(never)]
fn between<S, P, Req>(
    mut stage: Pin<&mut StageOf<S, P, Req>>,
    course: &mut CourseOf<S, P, Req>,
    cx: &mut Context<'_>,
) -> Poll<Option<ResultOf<S, <P as Replay<Req>>::Sent>>>
where
    P: Replay<Req> + RequestContext<<P as Replay<Req>>::Sent>,
    P: ResponseContext<S::Response>,
    S: Service<<P as Replay<Req>>::Sent> + Clone,
{
    loop {
        let next = match stage.as_mut().project() {
            StageProjection::Readying {
                service,
                answer,
                limit,
            } => {
                if let Err(last) = ready!(make_ready(service, answer, limit, course, cx)) {
                    return Poll::Ready(Some(last));
                }
                go_on::<S, P, Req>(service, answer.take(), course)
            }
            StageProjection::Discarding { discard, service } => {
                ready!(discard.poll(cx));
                match service.take() {
                    None => Stage::Waiting {
                        sleep: sleep(course.delay()),
                    },
                    service => Stage::readying(service, None),
                }
            }
            StageProjection::Waiting { sleep } => {
                ready!(sleep.poll(cx));
                Stage::readying(Some(course.service()), None)
            }
            StageProjection::Calling { .. } => return Poll::Ready(None),
            StageProjection::Over => return Poll::Pending,
        };
        stage.set(next);
    }
}

/// Waits until the service is ready; while there is an answer in hand, no longer than the time allows. Fails with that answer.
fn make_ready<S, P, K, R>(
    service: &mut Option<S>,
    answer: &mut Option<ResultOf<S, R>>,
    mut limit: Pin<&mut Option<Sleep>>,
    course: &mut Course<S, P, K, R>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), ResultOf<S, R>>>
where
    S: Service<R>,
{
    let Some(service) = service else {
        return Poll::Pending;
    };
    let error = match service.poll_ready(cx) {
        Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
        Poll::Ready(Err(error)) => Err(error),
        Poll::Pending => {
            let (Some(end), true) = (course.end(), answer.is_some()) else {
                return Poll::Pending;
            };
            if limit.is_none() {
                limit.set(Some(sleep_until(end)));
            }
            let over = limit.as_mut().as_pin_mut();
            ready!(over.map_or(Poll::Pending, |limit| limit.poll(cx)));
            match answer.take() {
                Some(answer) => answer,
                None => return Poll::Pending,
            }
        }
    };
    course.not_ready();
    Poll::Ready(Err(answer.take().unwrap_or(error)))
}

/// What follows once the service is ready: the answer is discarded, the wait begins, or the attempt.
fn go_on<S, P, Req>(
    service: &mut Option<S>,
    answer: Option<ResultOf<S, <P as Replay<Req>>::Sent>>,
    course: &mut CourseOf<S, P, Req>,
) -> StageOf<S, P, Req>
where
    P: Replay<Req> + RequestContext<<P as Replay<Req>>::Sent>,
    P: ResponseContext<S::Response>,
    S: Service<<P as Replay<Req>>::Sent>,
{
    let waits = !course.delay().is_zero();
    match answer {
        Some(Ok(answer)) => Stage::Discarding {
            discard: course.discard(answer),
            // While it waits it must hold nothing that it has reserved.
            service: service.take().filter(|_| !waits),
        },
        Some(Err(_)) if waits => Stage::Waiting {
            sleep: sleep(course.delay()),
        },
        _ => match service.as_mut().and_then(|service| course.send(service)) {
            Some(attempt) => Stage::Calling { attempt },
            None => Stage::Over,
        },
    }
}

impl<F, D, S, A> Stage<F, D, S, A> {
    const fn readying(service: Option<S>, answer: Option<A>) -> Self {
        Self::Readying {
            service,
            answer,
            limit: None,
        }
    }
}

impl<S, P, Req> fmt::Debug for RetryFuture<S, P, Req>
where
    S: Service<<P as Replay<Req>>::Sent>,
    P: Replay<Req> + ResponseContext<S::Response>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Calling { .. } => "calling",
            Stage::Readying { .. } => "readying",
            Stage::Discarding { .. } => "discarding",
            Stage::Waiting { .. } => "waiting",
            Stage::Over => "over",
        };
        f.debug_tuple("RetryFuture").field(&stage).finish()
    }
}
