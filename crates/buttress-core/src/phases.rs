use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Deadline, Rejected};

/// Keeps the time of an answer that goes on after its head.
///
/// Made by a layer that limits time, and carried by the body of the answer, which tells it of every piece that comes by and gives up
/// when it says so.
pub trait Watch {
    /// Waits until the answer has taken too long; polled while the next piece of it is awaited, and only then, so that a slow reader
    /// is not taken for a slow answer.
    fn poll_overdue(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Rejected>;

    /// A piece of the answer has come by.
    ///
    /// # Errors
    /// When the answer as a whole has taken too long: pieces that are always ready do not outrun that.
    fn progressed(self: Pin<&mut Self>) -> Result<(), Rejected>;

    /// The answer is a stream without an end of its own: no limit on all of it applies, but those between its pieces and the
    /// caller's own deadline.
    fn spare_stream(&mut self);

    /// The caller's deadline, where there is one: what goes wrong once it has passed says nothing about the dependency.
    fn deadline(&self) -> Option<Deadline>;
}

/// Knows the phases of an answer: whether it has a head, and what of it comes after that.
///
/// A plain answer is there or it is not. Over HTTP an answer has a head, and its body comes by and by.
#[diagnostic::on_unimplemented(
    message = "the protocol `{Self}` does not know the phases of an answer `{T}`",
    label = "no `Phases<{T}, _>` for `{Self}`",
    note = "`.http()` and `.grpc()` are for services that return `http::Response<_>`; plain services need neither"
)]
pub trait Phases<T, W: Watch> {
    /// What the caller gets in the place of `T`.
    type Output;

    /// Whether answers have a head, whose time is limited by itself.
    fn has_head(&self) -> bool;

    /// Lets a watch keep the time of what is still to come of the answer; none is made where nothing is.
    fn watch(&self, answer: T, watch: impl FnOnce() -> W) -> Self::Output;
}
