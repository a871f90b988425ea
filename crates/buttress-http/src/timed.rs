use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::{Rejected, Watch};
use bytes::Buf;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::render::trailers;
use crate::replayed::BoxError;

pin_project! {
    /// A body whose time is kept by a [`Watch`], and which ends when that says so.
    ///
    /// Made by the protocols [`Http`](crate::Http) and [`Grpc`](crate::Grpc) for a layer that limits time. The watch is asked
    /// while the body has nothing to give, so a reader who takes his time is not taken for a slow answer. When it gives up, the
    /// inner body is dropped there and then, and `K` says what the reader sees: over HTTP an error that holds the
    /// [`Rejected`] ([`CutByError`]), over gRPC trailers with `DEADLINE_EXCEEDED` ([`CutByTrailers`]). Nothing comes after that.
    ///
    /// The watch is dropped as soon as the body has ended, and none is made for an answer with nothing to come: an empty body, a
    /// 1xx, over HTTP also one whose promised length is zero.
    ///
    /// # Cancel safety
    /// Dropping it drops the inner body first, then the watch.
    pub struct Timed<B, W, K = CutByError> {
        // Empty once the body was cut.
        #[pin]
        inner: Option<B>,
        // Empty once there is nothing to come.
        #[pin]
        watch: Option<W>,
        // The promised bytes that have not gone by yet: a body that has given them all need not say that it has ended.
        outstanding: Option<u64>,
        cut: PhantomData<fn() -> K>,
    }
}

impl<B, W, K> Timed<B, W, K> {
    /// The body without a watch: nothing is to come.
    #[inline]
    pub(crate) fn unwatched(response: Response<B>) -> Response<Self> {
        response.map(|inner| Self::new(inner, None))
    }

    const fn new(inner: B, watch: Option<W>) -> Self {
        Self {
            inner: Some(inner),
            watch,
            outstanding: None,
            cut: PhantomData,
        }
    }

    /// The body itself, until it was cut.
    pub const fn inner(&self) -> Option<&B> {
        self.inner.as_ref()
    }

    /// Ends the body. What the answer stands on is free before anybody hears of it.
    #[cold]
    fn cut(self: Pin<&mut Self>, rejected: Rejected) -> Result<Frame<B::Data>, K::Error>
    where
        B: Body,
        K: Cut<B::Error>,
    {
        let mut this = self.project();
        this.inner.set(None);
        this.watch.set(None);
        K::cut(rejected)
    }
}

impl<B, W: Watch, K> Timed<B, W, K> {
    /// Lets `watch` keep the time of the body, and tells the layers above of the caller's deadline that it keeps to.
    pub(crate) fn watched(
        mut response: Response<B>,
        mut watch: W,
        is_stream: bool,
        promised: Option<u64>,
    ) -> Response<Self> {
        if is_stream {
            watch.spare_stream();
        }
        if let Some(deadline) = watch.deadline() {
            crate::context::shorten(response.extensions_mut(), deadline);
        }
        response.map(|inner| Self {
            outstanding: promised,
            ..Self::new(inner, Some(watch))
        })
    }
}

/// Whether the head promises a stream of events: it ends when somebody goes away.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    let essence =
        content_type.and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    essence.is_some_and(|essence| {
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(b"text/event-stream")
    })
}

impl<B, W, K> Body for Timed<B, W, K>
where
    B: Body,
    W: Watch,
    K: Cut<B::Error>,
{
    type Data = B::Data;
    type Error = K::Error;

    #[inline]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, K::Error>>> {
        let mut this = self.as_mut().project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let polled = inner.as_mut().poll_frame(cx);
        if let Some(watch) = this.watch.as_mut().as_pin_mut() {
            match &polled {
                Poll::Pending => {
                    let rejected = ready!(watch.poll_overdue(cx));
                    return Poll::Ready(Some(self.cut(rejected)));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        let bytes = u64::try_from(data.remaining()).unwrap_or(u64::MAX);
                        *this.outstanding = this.outstanding.map(|left| left.saturating_sub(bytes));
                    }
                    // Nothing comes after trailers.
                    let is_over = frame.is_trailers() || inner.is_end_stream();
                    if is_over || *this.outstanding == Some(0) {
                        this.watch.set(None);
                    } else if let Err(rejected) = watch.progressed() {
                        return Poll::Ready(Some(self.cut(rejected)));
                    }
                }
                Poll::Ready(None | Some(Err(_))) => this.watch.set(None),
            }
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(K::error)))
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        inner.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A body that belongs to no call; tonic's interceptors make one for an answer of their own.
impl<B: Default, W, K> Default for Timed<B, W, K> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B: fmt::Debug, W, K> fmt::Debug for Timed<B, W, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timed")
            .field("inner", &self.inner)
            .field("watched", &self.watch.is_some())
            .finish_non_exhaustive()
    }
}

/// Says what the reader of a [`Timed`] body sees where it is cut, for an inner body that fails with `E`.
pub trait Cut<E> {
    /// What the body fails with.
    type Error;

    /// The last that comes of a body that has taken too long.
    ///
    /// # Errors
    /// Where the reader is to see a body that fails.
    fn cut<D>(rejected: Rejected) -> Result<Frame<D>, Self::Error>;

    /// An error of the inner body.
    fn error(error: E) -> Self::Error;
}

/// A cut is an error that holds the [`Rejected`], for [`find_rejection`](buttress_core::find_rejection) to find: HTTP.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a marker has nothing inside")]
pub struct CutByError;

impl<E: Into<BoxError>> Cut<E> for CutByError {
    type Error = BoxError;

    fn cut<D>(rejected: Rejected) -> Result<Frame<D>, BoxError> {
        Err(rejected.into())
    }

    fn error(error: E) -> BoxError {
        error.into()
    }
}

/// A cut is trailers with the status that a refusal is answered with: gRPC. The type of the errors stays.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a marker has nothing inside")]
pub struct CutByTrailers;

impl<E> Cut<E> for CutByTrailers {
    type Error = E;

    fn cut<D>(rejected: Rejected) -> Result<Frame<D>, E> {
        Ok(Frame::trailers(trailers(&rejected)))
    }

    fn error(error: E) -> E {
        error
    }
}

#[cfg(test)]
mod tests;
