use std::fmt;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::cast::{Cast, Turn};
use crate::error::ScriptedPanic;
use crate::hang;
use crate::parking::Suspension;
use crate::script::Ending;
use crate::tally::Presence;

pin_project! {
    /// The response future of a [`Probe`](crate::Probe).
    ///
    /// It is not `Unpin`, as an `async` block is not: a layer that needs `Unpin` does not compile.
    pub struct ProbeFuture<T, E> {
        cast: Arc<Cast<T, E>>,
        turn: Turn,
        suspension: Suspension,
        presence: Presence,
        #[pin]
        pinned: PhantomPinned,
    }
}

impl<T, E> ProbeFuture<T, E> {
    pub(crate) fn new(cast: Arc<Cast<T, E>>, turn: Turn, presence: Presence) -> Self {
        let suspension = Suspension::new(turn.script.suspensions, turn.script.waking);
        Self {
            cast,
            turn,
            suspension,
            presence,
            pinned: PhantomPinned,
        }
    }
}

impl<T, E> Future for ProbeFuture<T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let tally = &this.cast.tally;
        tally.future_polls.fetch_add(1, Relaxed);
        if this.presence.has_ended() {
            tally.breach("the inner future was polled after it had ended");
        }
        ready!(this.suspension.poll(tally, cx));
        match this.turn.script.ending {
            Ending::Ok => Poll::Ready(Ok(this.cast.response(this.presence.answer()))),
            Ending::Err => {
                this.presence.end();
                Poll::Ready(Err(this.cast.error(this.turn.number)))
            }
            // A panic in `call` leaves no future to be polled.
            Ending::PanicInPoll | Ending::PanicInCall => {
                this.presence.end();
                ScriptedPanic::raise()
            }
            Ending::Hang => {
                hang::tell();
                Poll::Pending
            }
        }
    }
}

impl<T, E> fmt::Debug for ProbeFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeFuture")
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}
