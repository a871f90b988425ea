use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::failed::Failed;
use super::{Commit, Held};
use crate::fallback_body::as_bytes;
use crate::replayed::BoxError;

/// The most that is looked at of a body.
const MOST: usize = 64 * 1024;
/// The most frames, some of which may be empty.
const MOST_FRAMES: usize = 4096;

/// The body of an answer that was held: what had come by then, and the rest.
pub struct Committed<B> {
    prefix: VecDeque<Frame<Bytes>>,
    rest: Option<Pin<Box<B>>>,
}

impl<B> Committed<B> {
    pub(super) fn of(body: B) -> Self {
        Self {
            prefix: VecDeque::new(),
            rest: Some(Box::pin(body)),
        }
    }

    pub(super) fn made(bytes: Bytes) -> Self {
        Self {
            prefix: Some(bytes)
                .filter(|bytes| !bytes.is_empty())
                .map(Frame::data)
                .into_iter()
                .collect(),
            rest: None,
        }
    }

    fn held(&self) -> u64 {
        let data = self.prefix.iter().filter_map(Frame::data_ref);
        data.map(|data| data.len() as u64).sum()
    }
}

impl<B: Body<Error: Into<BoxError>>> Committed<B> {
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let frame = ready!(body.as_mut().poll_frame(cx)).map(|frame| as_bytes(Some(frame)));
        // What has ended or failed is not asked again.
        if !matches!(frame, Some(Some(Ok(_)))) {
            self.rest = None;
        }
        Poll::Ready(frame.flatten())
    }

    /// Takes in what comes, until it is clear whether it goes on or has failed.
    pub(super) fn poll_hold(
        &mut self,
        predicate: impl Fn(Held<'_>) -> Commit,
        bytes: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failed>> {
        loop {
            let frame = match ready!(self.poll_rest(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(Failed::of_error(&*error))),
                Some(Ok(frame)) => frame,
            };
            if let Some(failed) = frame.trailers_ref().and_then(Failed::of_trailers) {
                return Poll::Ready(Err(failed));
            }
            let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
            let seen = data.get(..MOST - bytes.len()).unwrap_or(data);
            let new = seen.len();
            bytes.extend_from_slice(seen);
            self.prefix.push_back(frame);
            match predicate(Held { bytes, new }) {
                Commit::Fail => return Poll::Ready(Err(Failed::ByItsBeginning)),
                Commit::Pass => return Poll::Ready(Ok(())),
                Commit::Hold if bytes.len() >= MOST || self.prefix.len() >= MOST_FRAMES => {
                    return Poll::Ready(Ok(()));
                }
                Commit::Hold => {}
            }
        }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for Committed<B> {
    type Data = Bytes;
    /// That of the body, boxed.
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.prefix.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.poll_rest(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.rest.as_ref();
        self.prefix.is_empty() && rest.is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held();
        let rest = self.rest.as_ref().map(|body| body.size_hint());
        let rest = rest.unwrap_or_else(|| SizeHint::with_exact(0));
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}

impl<B> fmt::Debug for Committed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committed")
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}
