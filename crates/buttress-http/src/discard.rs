use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

/// The most that is read of an answer that nobody wants.
const MOST: usize = 128 * 1024;
/// How long its bytes are waited for, from the first wait on.
const PATIENCE: Duration = Duration::from_millis(50);

pin_project! {
    /// Reads the body of an answer that nobody wants to its end, so that its connection can be used again.
    ///
    /// Gives up, and drops the body, after 128 KiB, after 50 ms or at an error. A body that is longer by its own account is
    /// dropped unread.
    ///
    /// # Panics
    ///
    /// Where a body has to be waited for outside of a tokio runtime with a timer, as tokio's `sleep` does.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the body.
    pub struct Discard<B> {
        #[pin]
        body: Option<B>,
        left: usize,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<B: Body> Discard<B> {
    pub(crate) fn new(body: B) -> Self {
        let short = body.size_hint().lower() <= MOST as u64;
        Self {
            body: short.then_some(body),
            left: MOST,
            sleep: None,
        }
    }
}

impl<B: Body> Future for Discard<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(body) = this.body.as_mut().as_pin_mut()
            && drain(body, this.left, cx).is_pending()
        {
            if this.sleep.is_none() {
                this.sleep.set(Some(sleep(PATIENCE)));
            }
            if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
                ready!(sleep.poll(cx));
            }
        }
        this.body.set(None);
        Poll::Ready(())
    }
}

/// Ready when the body has ended, or is not worth reading on.
fn drain<B: Body>(mut body: Pin<&mut B>, left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
    while !body.is_end_stream() {
        let Some(Ok(frame)) = ready!(body.as_mut().poll_frame(cx)) else {
            break;
        };
        let bytes = frame.data_ref().map_or(0, Buf::remaining);
        // An empty frame counts too: an endless row of them must not hold the thread.
        match left.checked_sub(bytes.max(1)) {
            Some(rest) => *left = rest,
            None => break,
        }
    }
    Poll::Ready(())
}

impl<B> fmt::Debug for Discard<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discard")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body::Frame;
    use tokio::time::Instant;

    use super::*;

    /// Is ready with ten bytes so many times, then waits for ever.
    struct Endless(usize);

    impl Body for Endless {
        type Data = &'static [u8];
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<&'static [u8]>, Infallible>>> {
            match self.0.checked_sub(1) {
                None => Poll::Pending,
                Some(left) => {
                    self.0 = left;
                    Poll::Ready(Some(Ok(Frame::data(b"ten bytes."))))
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unwanted_body_is_given_up_after_a_while_or_a_length() {
        let start = Instant::now();
        Discard::new(Endless(usize::MAX)).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        Discard::new(Endless(3)).await;
        assert!(start.elapsed() >= PATIENCE && start.elapsed() < PATIENCE * 2);
    }
}
