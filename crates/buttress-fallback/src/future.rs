use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buttress_core::{
    Annotate, Classify, Keeping, Levels, Rejectable, Replay, RequestContext, ResponseContext,
    Verdict,
};
use buttress_timer::Timer;
use pin_project_lite::pin_project;
use tower_service::Service;

pub(crate) use self::call::{Call, Cold, Under, env};
use crate::course::Speaks;
use crate::descent::Step;
use crate::mark::MarkServed;
use crate::service::Template;

mod at_once;
mod call;
mod exhausted;

pin_project! {
    /// The future of a call that is answered by another level where the primary does not.
    ///
    /// # Panics
    /// Where anybody has to be waited for outside of a tokio runtime with a timer.
    ///
    /// # Cancel safety
    /// Dropping it drops the call of the level that is asked; no other starts.
    #[must_use = "futures do nothing unless polled"]
    pub struct FallbackFuture<S, Req, T, K, P, M, R>
    where
        S: Service<Req>,
        K: Keeping,
        P: Replay<R>,
        P: Levels<S::Response, T, K>,
    {
        #[pin]
        stage: Stage<S, S::Future, Req, <P as Levels<S::Response, T, K>>::Output, T, S::Error, K::Value>,
        #[pin]
        timer: Timer,
        call: Call<S, Req, T, S::Response, S::Error, K, P, M, <P as Replay<R>>::Kept>,
    }
}

pin_project! {
    /// Where a call is: `F` is the primary's future, `O` what the caller gets.
    #[project = StageProjection]
    pub(crate) enum Stage<S, F, Req, O, L, E, V> {
        // The primary has the request.
        Calling { #[pin] primary: F },
        // It is waited for until it is ready.
        Readying { parked: Option<(S, Req)> },
        // It failed to get ready.
        Unready { error: Option<E> },
        // The levels below have their turn; without a step the next is to be asked.
        Below { step: Option<Step<O, L, E, V>> },
    }
}

impl<S, F, Req, O, L, E, V> Stage<S, F, Req, O, L, E, V> {
    /// Lets the primary get ready, where it may be asked; else the levels below have their turn.
    fn of_primary(parked: Option<(S, Req)>) -> Self {
        match parked {
            parked @ Some(_) => Self::Readying { parked },
            None => Self::Below { step: None },
        }
    }
}

impl<S, Req, T, K, P, M, R> FallbackFuture<S, Req, T, K, P, M, R>
where
    S: Service<Req>,
    K: Keeping,
    P: Replay<R> + Levels<S::Response, T, K>,
{
    #[inline(always)]
    pub(crate) const fn asking(
        primary: S::Future,
        template: Arc<Template<S, Req, T, S::Error, K, P, M>>,
        kept: Option<P::Kept>,
    ) -> Self {
        Self {
            stage: Stage::Calling { primary },
            timer: Timer::new(),
            call: Call::new(template, kept, None),
        }
    }

    pub(crate) const fn prepared(
        stage: Stage<S, S::Future, Req, P::Output, T, S::Error, K::Value>,
        call: Call<S, Req, T, S::Response, S::Error, K, P, M, P::Kept>,
    ) -> Self {
        Self {
            stage,
            timer: Timer::new(),
            call,
        }
    }
}

impl<S, Req, T, E, K, P, M, R> Future for FallbackFuture<S, Req, T, K, P, M, R>
where
    S: Service<Req, Error = E>,
    E: Rejectable,
    K: Keeping,
    P: Replay<R, Sent = Req> + RequestContext<Req>,
    P: Classify<S::Response, E> + Classify<T, E>,
    P: ResponseContext<S::Response> + ResponseContext<T>,
    P: Levels<S::Response, T, K> + Annotate<<P as Levels<S::Response, T, K>>::Output>,
    M: MarkServed<<P as Levels<S::Response, T, K>>::Output>,
{
    type Output = Result<<P as Levels<S::Response, T, K>>::Output, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StageProjection::Calling { primary } = this.stage.as_mut().project()
            && let Poll::Ready(result) = primary.poll(cx)
        {
            let template = &*this.call.template;
            let verdict = Classify::<S::Response, E>::classify(&template.protocol, result.as_ref());
            if verdict == Verdict::Success && this.call.keeps_nothing() {
                template.chain.0.primary_served();
                return Poll::Ready(result.map(|answer| template.protocol.first(answer)));
            }
            let result = match this.call.at_once(result, verdict) {
                Ok(ended) => return Poll::Ready(ended),
                Err(result) => result,
            };
            if let Some(ended) = this.call.ended::<R>(result, verdict) {
                return Poll::Ready(ended);
            }
            this.stage.set(Stage::Below { step: None });
        }
        go_on::<S, Req, T, E, K, P, M, R>(this.stage, this.timer, this.call, cx)
    }
}

type StageOf<S, Req, T, K, P> = Stage<
    S,
    <S as Service<Req>>::Future,
    Req,
    <P as Levels<<S as Service<Req>>::Response, T, K>>::Output,
    T,
    <S as Service<Req>>::Error,
    <K as Keeping>::Value,
>;

type CallOf<S, Req, T, K, P, M, R> = Call<
    S,
    Req,
    T,
    <S as Service<Req>>::Response,
    <S as Service<Req>>::Error,
    K,
    P,
    M,
    <P as Replay<R>>::Kept,
>;

type Ended<S, Req, T, K, P> =
    Result<<P as Levels<<S as Service<Req>>::Response, T, K>>::Output, <S as Service<Req>>::Error>;

/// Waits, and asks the next levels. The primary has been polled, if it is asked.
#[inline(never)]
fn go_on<S, Req, T, E, K, P, M, R>(
    mut stage: Pin<&mut StageOf<S, Req, T, K, P>>,
    mut timer: Pin<&mut Timer>,
    call: &mut CallOf<S, Req, T, K, P, M, R>,
    cx: &mut Context<'_>,
) -> Poll<Ended<S, Req, T, K, P>>
where
    S: Service<Req, Error = E>,
    E: Rejectable,
    K: Keeping,
    P: Replay<R, Sent = Req> + Speaks<Req, S::Response, T, E, K>,
    M: MarkServed<P::Output>,
{
    let mut is_polled = true;
    loop {
        let result = match stage.as_mut().project() {
            StageProjection::Calling { primary } if !is_polled => primary.poll(cx),
            StageProjection::Calling { .. } => Poll::Pending,
            StageProjection::Readying { parked } => {
                match poll_parked(parked, || call.may_ask_primary(), cx) {
                    Poll::Ready(Ok(primary)) => {
                        is_polled = false;
                        stage.set(Stage::Calling { primary });
                        continue;
                    }
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Pending => Poll::Pending,
                }
            }
            StageProjection::Unready { error } => error
                .take()
                .map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
            StageProjection::Below { step } => {
                if let Some(ended) = ready!(call.below::<R>(step, timer.as_mut(), cx)) {
                    return Poll::Ready(ended);
                }
                stage.set(Stage::of_primary(call.ahead::<R>()));
                continue;
            }
        };
        if let Poll::Ready(result) = result {
            if let Some(ended) = call.judged::<R>(result) {
                return Poll::Ready(ended);
            }
            stage.set(Stage::Below { step: None });
        } else {
            ready!(call.poll_time(timer.as_mut(), cx));
            // The work ends before anybody hears of it.
            stage.set(Stage::Below { step: None });
            call.give_up_primary();
        }
    }
}

/// Waits until the primary is ready, and calls it, if it still may be.
fn poll_parked<S: Service<Req>, Req>(
    parked: &mut Option<(S, Req)>,
    may_ask: impl FnOnce() -> bool,
    cx: &mut Context<'_>,
) -> Poll<Result<S::Future, S::Error>> {
    let Some((service, _)) = parked else {
        return Poll::Pending;
    };
    ready!(service.poll_ready(cx))?;
    if !may_ask() {
        return Poll::Pending;
    }
    match parked.take() {
        Some((mut service, request)) => Poll::Ready(Ok(service.call(request))),
        None => Poll::Pending,
    }
}

impl<S, Req, T, K, P, M, R> fmt::Debug for FallbackFuture<S, Req, T, K, P, M, R>
where
    S: Service<Req>,
    K: Keeping,
    P: Replay<R> + Levels<S::Response, T, K>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Calling { .. } => "calling",
            Stage::Readying { .. } => "readying",
            Stage::Unready { .. } => "unready",
            Stage::Below { .. } => "below",
        };
        f.debug_tuple("FallbackFuture").field(&stage).finish()
    }
}
