use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer: the inner service's own, or bytes that were made here.
    ///
    /// What [`respond`](crate::respond()) answers with. It wants nothing from `B` but that its data can be made of bytes; the
    /// bodies of axum, hyper and tonic all can.
    #[derive(Debug)]
    pub struct Answer<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProjection]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Made { bytes: Bytes },
        // That of an answer to `HEAD`, which has none; it ends when this is dropped.
        Unsent { body: B },
    }
}

impl<B> Answer<B> {
    /// The inner service's own body.
    #[inline]
    pub const fn inner(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
        }
    }

    /// The inner service's own body, of which nothing is sent.
    pub(crate) const fn unsent(body: B) -> Self {
        Self {
            kind: Kind::Unsent { body },
        }
    }

    /// A body of these bytes.
    pub fn made(bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: Kind::Made {
                bytes: bytes.into(),
            },
        }
    }
}

/// An empty body.
impl<B> Default for Answer<B> {
    fn default() -> Self {
        Self::made(Bytes::new())
    }
}

impl<B> Body for Answer<B>
where
    B: Body,
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body } => body.poll_frame(cx),
            KindProjection::Unsent { .. } => Poll::Ready(None),
            KindProjection::Made { bytes } if bytes.is_empty() => Poll::Ready(None),
            KindProjection::Made { bytes } => {
                let bytes = std::mem::take(bytes);
                Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
            }
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Made { bytes } => bytes.is_empty(),
            Kind::Unsent { .. } => true,
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Made { bytes } => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Kind::Unsent { .. } => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, Full};

    use super::*;

    type Plain = Full<Bytes>;

    #[tokio::test]
    async fn an_answer_is_the_body_it_was_made_of() {
        let inner: Answer<Plain> = Answer::inner(Full::from("inner"));
        let made: Answer<Plain> = Answer::made("made");
        for (answer, text) in [(inner, "inner"), (made, "made")] {
            assert!(!answer.is_end_stream());
            assert_eq!(answer.size_hint().exact(), Some(text.len() as u64));
            let collected: Result<_, Infallible> = answer.collect().await;
            assert_eq!(collected.unwrap().to_bytes(), text);
        }
    }

    #[tokio::test]
    async fn an_empty_answer_has_ended_before_it_began() {
        let mut empty: Answer<Plain> = Answer::default();
        assert!(empty.is_end_stream());
        assert_eq!(empty.size_hint().exact(), Some(0));
        assert!(empty.frame().await.is_none());
    }

    #[tokio::test]
    async fn made_bytes_come_once() {
        let mut made: Answer<Plain> = Answer::made("once");
        assert!(made.frame().await.is_some());
        assert!(made.is_end_stream());
        assert!(made.frame().await.is_none());
    }
}
