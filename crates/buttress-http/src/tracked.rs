use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::{Deadline, Settle, Verdict, failing_on_unwind};
use bytes::Buf;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::retry_after::whole_number;
use crate::{HeadDecides, Judge};

// `inline(always)` here and in the protocols: left to itself the compiler moves the head of the answer, which is large, from one
// function to the next. Counted: a tenth of what a tracked call costs.

pin_project! {
    /// A body that holds what its call took, and gives it back at the last frame.
    ///
    /// Made by the protocols [`Http`](crate::Http) and [`Grpc`](crate::Grpc). The call is over as soon as one of these is so:
    ///
    /// | the body | the call ends with |
    /// |---|---|
    /// | is empty from the start, belongs to a 1xx, or is promised to have no bytes | what the head says |
    /// | has ended, or says after a frame that it has | what the [`Judge`] says: the head, over gRPC the trailers |
    /// | has given as many bytes as were promised, by its size hint or by `Content-Length` | what the head says |
    /// | fails, or panics | `Failure` |
    /// | is dropped unread, or the head was no success | what the head says |
    /// | is dropped otherwise: the reader went away | nobody knows: the permit is dropped |
    ///
    /// A body whose status comes in its trailers (gRPC) is never over by the count of its bytes, and dropped unread it says
    /// nothing.
    ///
    /// Where a layer below has put the caller's [`Deadline`] into the extensions of the answer, as one that limits time does, a
    /// body that fails after it, or ends with a gRPC status that is no success, is `Neutral`, unless the head was no success: the
    /// caller had gone.
    ///
    /// # Cancel safety
    /// Dropping it drops the inner body first and gives the permit back right after.
    pub struct Tracked<B, P: Settle, J: Judge = HeadDecides> {
        // The order matters: when a body is dropped, the work ends before its slot is free again.
        #[pin]
        inner: B,
        call: Call<P, J>,
    }
}

impl<B: Body, P: Settle, J: Judge> Tracked<B, P, J> {
    /// Ties `permit` to the body of `response`, or gives it back at once when there is nothing to come.
    ///
    /// `head` is what the head says of the call, `judge` decides at the end of the body.
    #[inline(always)]
    pub fn attach(response: Response<B>, permit: P, head: Verdict, judge: J) -> Response<Self> {
        let promised = if judge.head_decides() {
            promised(&response)
        } else {
            None
        };
        let over = has_ended(&response, promised);
        let mut call = Call {
            permit: Some(permit),
            head,
            outstanding: promised,
            deadline: None,
            polled: false,
            judge,
        };
        if over {
            call.end(None);
        } else {
            let deadline = response.extensions().get::<Deadline>();
            let callers = deadline.and_then(|deadline| deadline.callers());
            call.deadline = callers.map(Deadline::instant);
            call.note();
        }
        response.map(|inner| Self { inner, call })
    }
}

impl<B, P: Settle, J: Judge> Tracked<B, P, J> {
    /// A body that belongs to no call.
    pub(crate) const fn free(inner: B, judge: J) -> Self {
        let call = Call {
            permit: None,
            head: Verdict::Neutral,
            outstanding: None,
            deadline: None,
            polled: false,
            judge,
        };
        Self { inner, call }
    }

    /// The body itself.
    pub const fn inner(&self) -> &B {
        &self.inner
    }
}

/// Whether nothing comes after the head.
#[inline(always)]
pub(crate) fn has_ended<B: Body>(response: &Response<B>, promised: Option<u64>) -> bool {
    response.body().is_end_stream() || promised == Some(0) || response.status().is_informational()
}

/// How many bytes the body will have, if that is known.
#[inline]
pub(crate) fn promised<B: Body>(response: &Response<B>) -> Option<u64> {
    let header = || {
        response
            .headers()
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()
            .and_then(whole_number)
    };
    response.body().size_hint().exact().or_else(header)
}

impl<B: Body, P: Settle, J: Judge> Body for Tracked<B, P, J> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline(always)]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let mut inner = this.inner;
        if this.call.permit.is_none() {
            return inner.poll_frame(cx);
        }
        this.call.polled = true;
        let (polled, ended) = failing_on_unwind(&mut this.call.permit, || {
            let polled = inner.as_mut().poll_frame(cx);
            let ended = polled.is_ready() && inner.is_end_stream();
            (polled, ended)
        });
        let frame = ready!(polled);
        this.call.saw(frame.as_ref(), ended);
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body that belongs to no call; tonic's interceptors make one for an answer of their own.
impl<B: Default, P: Settle, J: Judge + Default> Default for Tracked<B, P, J> {
    fn default() -> Self {
        Self::free(B::default(), J::default())
    }
}

impl<B: fmt::Debug, P: Settle, J: Judge> fmt::Debug for Tracked<B, P, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked")
            .field("inner", &self.inner)
            .field("over", &self.call.permit.is_none())
            .finish_non_exhaustive()
    }
}

// === Call ===

/// What is known of the call while its body goes by. Its drop is the end of a call whose body was left.
struct Call<P: Settle, J: Judge> {
    permit: Option<P>,
    head: Verdict,
    /// The promised bytes that have not gone by yet.
    outstanding: Option<u64>,
    /// When the caller goes, as a layer below has found out: looked at only when something goes wrong.
    deadline: Option<Instant>,
    polled: bool,
    judge: J,
}

impl<P: Settle, J: Judge> Call<P, J> {
    #[inline(always)]
    fn saw<D: Buf, E>(&mut self, frame: Option<&Result<Frame<D>, E>>, ended: bool) {
        match frame {
            None => self.end(None),
            Some(Err(_)) => self.go_wrong(Verdict::Failure),
            Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => self.count(data.remaining(), ended),
                // Nothing comes after trailers.
                (_, Some(trailers)) => self.end(Some(trailers)),
                (None, None) => {}
            },
        }
    }

    #[inline(always)]
    fn count(&mut self, bytes: usize, ended: bool) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.outstanding = self
            .outstanding
            .map(|outstanding| outstanding.saturating_sub(bytes));
        if ended || self.outstanding == Some(0) {
            self.end(None);
        }
    }

    #[inline(always)]
    fn end(&mut self, trailers: Option<&HeaderMap>) {
        let verdict = self.judge.at_end(self.head, trailers);
        if verdict == Verdict::Success || self.judge.head_decides() {
            self.settle(verdict);
        } else {
            self.go_wrong(verdict);
        }
    }

    /// Ends the call badly, unless nobody waited for it any more: what is cut at the caller's own deadline says no more about the
    /// dependency than the head did in time.
    #[cold]
    fn go_wrong(&mut self, verdict: Verdict) {
        let is_late = self.deadline.is_some_and(|gone| gone <= Instant::now());
        self.settle(match self.head {
            _ if !is_late => verdict,
            Verdict::Success => Verdict::Neutral,
            trouble => trouble,
        });
    }

    #[inline]
    fn settle(&mut self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            permit.settle(verdict);
        }
    }

    #[inline]
    fn note(&self) {
        if let Some(permit) = &self.permit {
            permit.note(self.head);
        }
    }
}

impl<P: Settle, J: Judge> Drop for Call<P, J> {
    #[inline]
    fn drop(&mut self) {
        if self.permit.is_none() {
            return;
        }
        let unread = !self.polled && self.judge.head_decides();
        if unread || self.head != Verdict::Success {
            self.settle(self.head);
        }
    }
}

#[cfg(test)]
mod tests;
