use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::Keeper;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::code::GRPC_STATUS;
use crate::kept_answer::{self, KeptAnswer, may_be_kept};
use crate::replayed::BoxError;
use crate::tracked::promised;

pin_project! {
    /// The body of an answer of a fallback chain: that of the primary (`B`), of a level below it (`L`), or one that was kept or made here.
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
        Lower { #[pin] body: L },
        Made { bytes: Bytes, trailers: Option<HeaderMap> },
    }
}

/// What is kept while it goes by.
struct Tee {
    kept: KeptAnswer,
    body: BytesMut,
    /// How many bytes there will be, if that is known.
    promised: Option<u64>,
    keeper: Keeper<KeptAnswer>,
    /// Whether the trailers must say that all went well.
    is_grpc: bool,
}

impl<B, L> FallbackBody<B, L> {
    pub(crate) const fn first(body: B) -> Self {
        Self::of(Kind::First { body })
    }

    pub(crate) const fn lower(body: L) -> Self {
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
        let promised = if is_grpc { None } else { promised(&answer) };
        let is_short = answer.body().size_hint().lower() <= kept_answer::MOST as u64
            && promised.is_none_or(|bytes| bytes <= kept_answer::MOST as u64);
        if !may_be_kept(&answer) || !is_short {
            return answer;
        }
        let tee = Tee {
            kept: KeptAnswer::head_of(&answer),
            body: BytesMut::new(),
            promised,
            keeper,
            is_grpc,
        };
        if answer.body().is_end_stream() {
            tee.end();
        } else {
            answer.body_mut().tee = Some(tee);
        }
        answer
    }
}

impl Tee {
    /// Takes in a frame; false when the answer is not to be kept any more.
    fn saw(&mut self, frame: &Frame<Bytes>) -> bool {
        if let Some(data) = frame.data_ref() {
            if self.body.len() + data.len() > kept_answer::MOST {
                return false;
            }
            self.body.extend_from_slice(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.kept.trailers = Some(trailers.clone());
        }
        true
    }

    /// Whether all that was promised has gone by.
    fn is_all(&self) -> bool {
        self.promised == Some(self.body.len() as u64)
    }

    /// The last frame has gone by.
    fn end(mut self) {
        let is_whole = self.promised.is_none() || self.is_all();
        let is_well = || {
            let trailers = self.kept.trailers.as_ref();
            let status = trailers.unwrap_or(&self.kept.headers).get(GRPC_STATUS);
            status.is_some_and(|status| status.as_bytes() == b"0")
        };
        if is_whole && (!self.is_grpc || is_well()) {
            self.kept.body = mem::take(&mut self.body).freeze();
            let bytes = self.kept.bytes();
            self.keeper.keep(self.kept, bytes);
        }
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
        if let Some(mut tee) = this.tee.take() {
            match &frame {
                None => tee.end(),
                Some(Ok(frame)) if tee.saw(frame) => {
                    // Whoever reads may not come back for the end.
                    if this.kind.is_end_stream() || tee.is_all() {
                        tee.end();
                    } else {
                        *this.tee = Some(tee);
                    }
                }
                // A failure, or too much.
                Some(_) => {}
            }
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
