use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::{Error, Rejected};
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::arrival::Arrival;
use crate::quotas::Quotas;
use crate::{Answer, Answerable, Problem, Render};

/// Answers what the layers below refuse, instead of failing; made by [`respond`](crate::respond()) and
/// [`RespondLayer`](crate::RespondLayer).
///
/// Reads the caller's deadline where it was told to, and answers a request whose caller has gone before it arrived. A refusal met
/// in `poll_ready` is kept, and is the answer to the next call. `O` is the service that the layers stand around.
#[must_use = "a service does nothing until it is called"]
pub struct RespondService<S, R = Problem, O = S> {
    inner: S,
    render: R,
    arrival: Arrival,
    quotas: Quotas,
    /// Met while getting ready, and due to the next call.
    refused: Option<Rejected>,
    origin: PhantomData<fn() -> O>,
}

impl<S, R, O> RespondService<S, R, O> {
    pub(crate) const fn new(inner: S, render: R, arrival: Arrival, quotas: Quotas) -> Self {
        Self {
            inner,
            render,
            arrival,
            quotas,
            refused: None,
            origin: PhantomData,
        }
    }

    /// The layers and the service below.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, R, O, ReqBody, B> Service<Request<ReqBody>> for RespondService<S, R, O>
where
    S: Service<Request<ReqBody>, Response = Response<B>>,
    S::Error: Answerable,
    B: Body,
    R: Render + Clone,
{
    type Response = Response<Answer<B>>;
    type Error = <S::Error as Answerable>::Inner;
    type Future = RespondFuture<S::Future, R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.refused.is_some() {
            return Poll::Ready(Ok(()));
        }
        let Err(error) = ready!(self.inner.poll_ready(cx)) else {
            return Poll::Ready(Ok(()));
        };
        match error.sort() {
            Error::Inner(error) => Poll::Ready(Err(error)),
            Error::Rejected(rejected) => {
                self.refused = Some(rejected);
                Poll::Ready(Ok(()))
            }
        }
    }

    #[inline]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let head_only = request.method() == Method::HEAD;
        let refused = self.refused.take();
        let stage = match refused.or_else(|| self.arrival.admit(&mut request)) {
            Some(rejected) => Stage::Refused { rejected },
            None => Stage::Calling {
                inner: self.inner.call(request),
            },
        };
        RespondFuture {
            stage,
            render: self.render.clone(),
            quotas: self.quotas.clone(),
            head_only,
        }
    }
}

/// A clone has not been made ready, so it has met no refusal.
impl<S: Clone, R: Clone, O> Clone for RespondService<S, R, O> {
    fn clone(&self) -> Self {
        let (inner, render) = (self.inner.clone(), self.render.clone());
        Self::new(inner, render, self.arrival, self.quotas.clone())
    }
}

impl<S: fmt::Debug, R, O> fmt::Debug for RespondService<S, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RespondService")
            .field("inner", &self.inner)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "tonic")]
impl<S, R, O: tonic::server::NamedService> tonic::server::NamedService for RespondService<S, R, O> {
    const NAME: &'static str = O::NAME;
}

pin_project! {
    /// The future of a [`RespondService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RespondFuture<F, R> {
        #[pin]
        stage: Stage<F>,
        render: R,
        quotas: Quotas,
        head_only: bool,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Calling { #[pin] inner: F },
        Refused { rejected: Rejected },
    }
}

impl<F, R, B, E> Future for RespondFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Answerable,
    B: Body,
    R: Render,
{
    type Output = Result<Response<Answer<B>>, E::Inner>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let rejected = match this.stage.project() {
            StageProjection::Refused { rejected } => *rejected,
            StageProjection::Calling { inner } => match ready!(inner.poll(cx)) {
                Ok(response) if *this.head_only => return Poll::Ready(Ok(unsent(response))),
                Ok(response) => return Poll::Ready(Ok(response.map(Answer::inner))),
                Err(error) => match error.sort() {
                    Error::Inner(error) => return Poll::Ready(Err(error)),
                    Error::Rejected(rejected) => rejected,
                },
            },
        };
        let answer = answer(this.render, rejected, this.quotas, *this.head_only);
        Poll::Ready(Ok(answer))
    }
}

/// An answer to `HEAD`, which says how long its body would be. Over HTTP/2 one that had a body would be an error of the protocol, and not
/// every service below knows the method: a chain's last level does not.
#[cold]
fn unsent<B: Body>(mut response: Response<B>) -> Response<Answer<B>> {
    if response.body().is_end_stream() {
        return response.map(Answer::inner);
    }
    if let Some(bytes) = response.body().size_hint().exact() {
        let length = response.headers_mut().entry(CONTENT_LENGTH);
        length.or_insert_with(|| bytes.into());
    }
    response.map(Answer::unsent)
}

/// The rendered refusal. It stays in the extensions, where an outer layer of the same process knows it as ours.
#[cold]
fn answer<B>(
    render: &impl Render,
    rejected: Rejected,
    quotas: &Quotas,
    head_only: bool,
) -> Response<Answer<B>> {
    let mut response = render.render(&rejected);
    quotas.tell(&rejected, response.headers_mut());
    response.extensions_mut().insert(rejected);
    if head_only {
        let body = mem::take(response.body_mut());
        response
            .headers_mut()
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| body.len().into());
    }
    response.map(Answer::made)
}

impl<F, R> fmt::Debug for RespondFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("RespondFuture");
        match &self.stage {
            Stage::Calling { .. } => debug.field(&"calling"),
            Stage::Refused { rejected } => debug.field(rejected),
        };
        debug.finish()
    }
}

#[cfg(test)]
mod tests;
