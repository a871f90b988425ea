use crate::{Quota, Rejected, Verdict};

/// What a call has taken from a component, to be given back exactly once.
///
/// There are two ways to give it back: [`settle`](Self::settle), when the end of the call is known, and dropping it, when
/// nobody knows. A third does not exist, so nothing is lost however the call ends.
pub trait Settle {
    /// Gives back what the call took, and says how it ended.
    fn settle(self, verdict: Verdict);

    /// Says what is known of the call so far, while it goes on: over HTTP, what the head of the answer says.
    ///
    /// Only a component with a time limit of its own for the call looks at it.
    fn note(&self, verdict: Verdict) {
        let _ = verdict;
    }

    /// What is left of the caller's quota, where the component keeps one: asked by an edge that tells the client, and nobody else.
    #[inline]
    fn quota(&self) -> Option<Quota> {
        None
    }
}

/// Decides when a call is over, and settles its permit then.
///
/// Plain calls are over when their future returns. Over HTTP a call is over at the last frame of the body, so the permit
/// rides on the answer and `Output` is another type than `T`.
#[diagnostic::on_unimplemented(
    message = "the protocol `{Self}` does not know when a call that returns `{T}` is over",
    label = "no `Completion<{T}, {E}, …>` for `{Self}`",
    note = "`.http()` and `.grpc()` are for services that return `http::Response<_>`; plain services need neither",
    note = "the error type must have room for a refusal: put `.layer(WidenLayer)` innermost, or use `respond((…))`",
    note = "a classifier closure goes through `by(|result: Result<&_, &_>| …)`"
)]
pub trait Completion<T, E, P> {
    /// What the caller gets in the place of `T`.
    type Output;

    /// Settles `permit`, or ties it to the answer until that is over.
    ///
    /// # Errors
    /// The error of `result`, unchanged.
    fn complete(&self, permit: P, result: Result<T, E>) -> Result<Self::Output, E>;

    /// The refusal of ours that an answer was made of, further in: an edge answers refusals, and they are refusals still. None
    /// unless the protocol has such answers.
    fn refusal(&self, answer: &T) -> Option<Rejected> {
        let _ = answer;
        None
    }
}
