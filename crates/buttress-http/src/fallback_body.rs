use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::Keeper;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::kept_answer::KeptAnswer;
use crate::replayed::BoxError;
use crate::ridden::Ridden;
use crate::tee::Tee;

pin_project! {
    /// The body of an answer of a fallback chain: that of the primary (`B`), of a level below it (`L`), or one that was kept or made here.
    ///
    /// That of a level holds what its call has taken until it has ended, or is dropped.
    ///
    /// Where the answer is to be kept it is copied while it goes by, up to 256 KiB, and handed on with its last frame. A body that fails,
    /// is cut short, is dropped before, or is longer than that is not kept.
    pub struct FallbackBody<B, L = B> {
        #[pin]
        kind: Kind<B, L>,
        tee: Option<Tee>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B, L> {
        First { #[pin] body: B },
        Lower { #[pin] body: Ridden<L> },
        Made { bytes: Bytes, trailers: Option<HeaderMap> },
    }
}

impl<B, L> FallbackBody<B, L> {
    pub(crate) const fn first(body: B) -> Self {
        Self::of(Kind::First { body })
    }

    pub(crate) const fn lower(body: Ridden<L>) -> Self {
        Self::of(Kind::Lower { body })
    }

    pub(crate) const fn made(bytes: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self::of(Kind::Made { bytes, trailers })
    }

    const fn of(kind: Kind<B, L>) -> Self {
        Self { kind, tee: None }
    }
}

impl<B, L> FallbackBody<B, L>
where
    B: Body<Error: Into<BoxError>>,
    L: Body<Error: Into<BoxError>>,
{
    /// Keeps an answer while it goes by.
    pub(crate) fn keep(
        mut answer: Response<Self>,
        keeper: Keeper<KeptAnswer>,
        is_grpc: bool,
    ) -> Response<Self> {
        if let Some(tee) = Tee::begin(&answer, keeper, is_grpc) {
            if answer.body().is_end_stream() {
                tee.end();
            } else {
                answer.body_mut().tee = Some(tee);
            }
        }
        answer
    }
}

impl<B, L> Kind<B, L>
where
    B: Body<Error: Into<BoxError>>,
    L: Body<Error: Into<BoxError>>,
{
    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            KindProjection::First { body } => body.poll_frame(cx).map(as_bytes),
            KindProjection::Lower { body } => body.poll_frame(cx).map(as_bytes),
            KindProjection::Made { bytes, .. } if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(mem::take(bytes)))))
            }
            KindProjection::Made { trailers, .. } => Poll::Ready(
                trailers
                    .take()
                    .map(|trailers| Ok(Frame::trailers(trailers))),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::First { body } => body.is_end_stream(),
            Self::Lower { body } => body.is_end_stream(),
            Self::Made { bytes, trailers } => bytes.is_empty() && trailers.is_none(),
        }
    }
}

/// A frame of any data as one of bytes.
pub(crate) fn as_bytes<D: Buf, E: Into<BoxError>>(
    frame: Option<Result<Frame<D>, E>>,
) -> Option<Result<Frame<Bytes>, BoxError>> {
    let to_bytes = |mut data: D| data.copy_to_bytes(data.remaining());
    frame.map(|frame| {
        frame
            .map(|frame| frame.map_data(to_bytes))
            .map_err(Into::into)
    })
}

impl<B, L> Body for FallbackBody<B, L>
where
    B: Body<Error: Into<BoxError>>,
    L: Body<Error: Into<BoxError>>,
{
    type Data = Bytes;
    /// That of the body, boxed.
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let frame = ready!(this.kind.as_mut().poll(cx));
        if let Some(tee) = this.tee.take() {
            *this.tee = tee.saw(frame.as_ref(), || this.kind.is_end_stream());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.kind.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::First { body } => body.size_hint(),
            Kind::Lower { body } => body.size_hint(),
            Kind::Made { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

impl<B, L> fmt::Debug for FallbackBody<B, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::First { .. } => "primary",
            Kind::Lower { .. } => "below",
            Kind::Made { .. } => "made",
        };
        f.debug_struct("FallbackBody")
            .field("of", &kind)
            .field("is_being_kept", &self.tee.is_some())
            .finish_non_exhaustive()
    }
}

impl KeptAnswer {
    /// The answer again.
    pub(crate) fn restore<B, L>(self) -> Response<FallbackBody<B, L>> {
        let mut answer = Response::new(FallbackBody::made(self.body, self.trailers));
        *answer.status_mut() = self.status;
        *answer.version_mut() = self.version;
        *answer.headers_mut() = self.headers;
        answer
    }
}
