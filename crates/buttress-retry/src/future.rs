use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buttress_core::{Classify, Recover, Replay, RequestContext, ResponseContext, Verdict};
use pin_project_lite::pin_project;
use tower_service::Service;

use self::between::{Between, Step};
use crate::course::{Course, Facts, Start};
use crate::service::Template;

mod between;

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
        stage: Stage<S::Future, Between<S, P, <P as Replay<Req>>::Sent>>,
        course: Course<S, P, <P as Replay<Req>>::Kept>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, B> {
        // An attempt runs.
        Calling { #[pin] attempt: F },
        // None does.
        Idle { #[pin] between: B },
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
        facts: Facts,
    ) -> Self {
        Self {
            stage: Stage::Calling { attempt },
            course: Course::new(template, kept, facts),
        }
    }

    // A future of its own making: one that is changed after it was made would be copied by every call.
    /// The same with what only some calls have at their start.
    #[cold]
    pub(crate) fn started(
        attempt: S::Future,
        template: Arc<Template<S, P>>,
        kept: Option<<P as Replay<Req>>::Kept>,
        facts: Facts,
        start: Start,
    ) -> Self {
        Self {
            stage: Stage::Calling { attempt },
            course: Course::new(template, kept, facts).started(start),
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
            let course = &mut *this.course;
            let next = if let StageProjection::Calling { attempt } = this.stage.as_mut().project() {
                let result = ready!(course.in_span(|| attempt.poll(cx)));
                let verdict = course.classify(result.as_ref());
                if verdict == Verdict::Success {
                    course.succeeded();
                    return Poll::Ready(result);
                }
                failed::<S, P, Req>(this.stage.as_mut(), course, verdict, result, cx)
            } else {
                go_on::<S, P, Req>(this.stage.as_mut(), course, cx)
            };
            if let Some(result) = ready!(next) {
                return Poll::Ready(result);
            }
        }
    }
}

/// The stage of a call.
type StageOf<S, P, Req> = Stage<
    <S as Service<<P as Replay<Req>>::Sent>>::Future,
    Between<S, P, <P as Replay<Req>>::Sent>,
>;

type CourseOf<S, P, Req> = Course<S, P, <P as Replay<Req>>::Kept>;

type ResultOf<S, R> = Result<<S as Service<R>>::Response, <S as Service<R>>::Error>;

/// An attempt has failed. Ready with a result when there is no other, with nothing when one runs.
#[cold]
#[inline(never)]
fn failed<S, P, Req>(
    mut stage: Pin<&mut StageOf<S, P, Req>>,
    course: &mut CourseOf<S, P, Req>,
    verdict: Verdict,
    mut result: ResultOf<S, <P as Replay<Req>>::Sent>,
    cx: &mut Context<'_>,
) -> Poll<Option<ResultOf<S, <P as Replay<Req>>::Sent>>>
where
    P: Replay<Req> + RequestContext<<P as Replay<Req>>::Sent>,
    P: Classify<S::Response, S::Error> + ResponseContext<S::Response>,
    P: Recover<S::Error, <P as Replay<Req>>::Sent>,
    S: Service<<P as Replay<Req>>::Sent> + Clone,
{
    let Some(ahead) = course.plan::<Req, _, _>(verdict, &mut result) else {
        return Poll::Ready(Some(result));
    };
    let mut service = course.service();
    // Where nothing is to be waited for nothing need be kept.
    if result.is_err() && ahead.delay.is_zero() {
        match service.poll_ready(cx) {
            Poll::Ready(Ok(())) => {
                let attempt = course.send(ahead, &mut service);
                stage.set(Stage::Calling { attempt });
                return Poll::Ready(None);
            }
            // An instance that has failed is never asked again.
            Poll::Ready(Err(_)) => {
                course.not_ready();
                return Poll::Ready(Some(result));
            }
            Poll::Pending => {}
        }
    }
    let between = Between::new(ahead, service, result);
    stage.set(Stage::Idle { between });
    go_on::<S, P, Req>(stage, course, cx)
}

/// Goes from one attempt to the next. Ready with a result when there is no next one, with nothing when it runs.
#[cold]
#[inline(never)]
fn go_on<S, P, Req>(
    mut stage: Pin<&mut StageOf<S, P, Req>>,
    course: &mut CourseOf<S, P, Req>,
    cx: &mut Context<'_>,
) -> Poll<Option<ResultOf<S, <P as Replay<Req>>::Sent>>>
where
    P: Replay<Req> + RequestContext<<P as Replay<Req>>::Sent>,
    P: ResponseContext<S::Response>,
    S: Service<<P as Replay<Req>>::Sent> + Clone,
{
    let StageProjection::Idle { between } = stage.as_mut().project() else {
        return Poll::Ready(None);
    };
    match ready!(between.poll(course, cx)) {
        Ok(attempt) => {
            stage.set(Stage::Calling { attempt });
            Poll::Ready(None)
        }
        Err(last) => Poll::Ready(Some(last)),
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
            Stage::Idle { between } => match between.step() {
                Step::Ready => "readying",
                Step::Leave | Step::Discard => "discarding",
                Step::Wait => "waiting",
                Step::Over => "over",
            },
        };
        f.debug_tuple("RetryFuture").field(&stage).finish()
    }
}
