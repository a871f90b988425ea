use std::pin::Pin;
use std::task::{Context, Poll};

/// How a response is read, part by part; implemented by closures.
pub trait Reader<T> {
    /// Polls for the next part: `Some` when there was one, `None` at the end.
    fn poll_part(&self, response: Pin<&mut T>, cx: &mut Context<'_>) -> Poll<Option<()>>;
}

impl<T, F> Reader<T> for F
where
    F: Fn(Pin<&mut T>, &mut Context<'_>) -> Poll<Option<()>>,
{
    fn poll_part(&self, response: Pin<&mut T>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self(response, cx)
    }
}

/// The [`Reader`] of responses that come whole: there is no part to read.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Whole;

impl<T> Reader<T> for Whole {
    fn poll_part(&self, _: Pin<&mut T>, _: &mut Context<'_>) -> Poll<Option<()>> {
        Poll::Ready(None)
    }
}
