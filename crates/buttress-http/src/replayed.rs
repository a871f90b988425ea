use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::ReplayMemory;
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};

use self::source::{Shared, Step};

mod buffer;
mod source;

/// The body of a request that may be sent again: what goes by is kept, as far as there is room.
///
/// Another attempt plays what was kept and goes on with the rest. An attempt that still reads when another begins is
/// superseded: its body ends with [`Superseded`].
pub struct Replayed<B: Body> {
    shared: Arc<Shared<B>>,
    attempt: u64,
    over: bool,
}

/// Any error: what hyper, axum, tonic and reqwest take from a body.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request was not read to its end, because another attempt has taken it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Superseded;

impl fmt::Display for Superseded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another attempt has taken the body over")
    }
}

impl Error for Superseded {}

impl<B> Body for Replayed<B>
where
    B: Body<Error: Into<BoxError>>,
{
    type Data = Bytes;
    /// That of the body, boxed, or [`Superseded`].
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let frame = match self.shared.poll(self.attempt, cx) {
            Step::Wait => return Poll::Pending,
            Step::Frame(piece) => Some(Ok(piece.into_frame())),
            Step::End => None,
            Step::Failed(error) => Some(Err(error.into())),
            Step::Superseded => Some(Err(Superseded.into())),
        };
        self.over = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.shared.is_at_end(self.attempt)
    }

    fn size_hint(&self) -> SizeHint {
        if self.over {
            return SizeHint::with_exact(0);
        }
        self.shared.size_hint(self.attempt)
    }
}

impl<B: Body> fmt::Debug for Replayed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replayed").finish_non_exhaustive()
    }
}

/// What is kept of a request for another attempt: its head, and of its body what has gone by.
///
/// Dropping it gives up keeping; the attempt that runs reads on.
pub struct KeptRequest<B: Body> {
    head: Request<()>,
    shared: Arc<Shared<B>>,
}

impl<B: Body> KeptRequest<B> {
    pub(crate) fn prepare(
        request: Request<B>,
        memory: &ReplayMemory,
    ) -> (Request<Replayed<B>>, Option<Self>) {
        let (parts, body) = request.into_parts();
        // A body that is too long by its own account is not even begun to be kept.
        let fits = body.size_hint().lower() <= memory.per_request() as u64;
        let shared = Arc::new(Shared::new(body, memory.clone(), fits));
        let kept = fits.then(|| Self {
            head: Request::from_parts(parts.clone(), ()),
            shared: Arc::clone(&shared),
        });
        let sent = Replayed {
            shared,
            attempt: 0,
            over: false,
        };
        (Request::from_parts(parts, sent), kept)
    }

    pub(crate) fn replay(&self) -> Option<Request<Replayed<B>>> {
        let sent = Replayed {
            attempt: self.shared.start_over()?,
            shared: Arc::clone(&self.shared),
            over: false,
        };
        Some(self.head.clone().map(|()| sent))
    }
}

impl<B: Body> Drop for KeptRequest<B> {
    fn drop(&mut self) {
        self.shared.keep_no_more();
    }
}

impl<B: Body> fmt::Debug for KeptRequest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRequest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
