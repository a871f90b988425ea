use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::replayed::BoxError;

mod by_event;
mod committed;
mod failed;

pub use self::by_event::{ServerSentEvent, by_event};
pub use self::committed::Committed;

/// Holds the head of a good answer until its body has begun as it should.
///
/// For streams that say 200 and then that something is wrong. `predicate` looks at what there is of the body each time that more comes.
/// As long as it says [`Commit::Hold`] nobody has got anything, and an error of the body, or [`Commit::Fail`], makes a `502` of the
/// answer, over gRPC an `UNAVAILABLE`: a failure, after which a chain asks its next level and a retry tries again. Where a component of
/// ours has ended the body it is that refusal, and where gRPC trailers bring an error that status. After [`Commit::Pass`], at the end of
/// the body, with 64 KiB or 4096 frames held the answer goes on, what was held first, byte for byte and frame by frame; an error after
/// that ends the stream, and nobody is asked instead. The predicate sees the first 64 KiB, a frame that is longer is cut for it.
///
/// It stands around the service of a level, so holding is part of that level's time. Retries and breakers belong outside of it, to hear
/// what it says; timeouts that keep time to the head, and the client, inside. Answers other than 2xx are not held.
///
/// ```
/// use buttress_http::{Commit, commit_at};
///
/// // Lines of JSON, the first of which says whether it went well. For server-sent events there is `by_event`.
/// let layer = commit_at(|held| match held.bytes().split(|byte| *byte == b'\n').next() {
///     Some(first) if first.len() == held.bytes().len() => Commit::Hold,
///     Some(first) if first.starts_with(b"{\"error\":") => Commit::Fail,
///     _ => Commit::Pass,
/// });
/// # let _ = layer;
/// ```
pub const fn commit_at<F>(predicate: F) -> CommitAtLayer<F>
where
    F: Fn(Held<'_>) -> Commit,
{
    CommitAtLayer(predicate)
}

/// What becomes of an answer whose body has begun so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "on, off, or not yet")]
pub enum Commit {
    /// It cannot be told yet.
    Hold,
    /// It goes on.
    Pass,
    /// It has failed.
    Fail,
}

/// What there is of a body that is held.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    bytes: &'a [u8],
    new: usize,
}

impl<'a> Held<'a> {
    /// All of it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What came last.
    #[must_use]
    pub fn frame(&self) -> &'a [u8] {
        let start = self.bytes.len().saturating_sub(self.new);
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Whether these bytes are there, and were not before what came last.
    #[must_use]
    pub fn contains(&self, bytes: &[u8]) -> bool {
        let overlap = bytes.len().saturating_sub(1);
        let start = self.bytes.len().saturating_sub(self.new + overlap);
        let seen = self.bytes.get(start..).unwrap_or_default();
        !bytes.is_empty() && seen.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// A layer that holds heads; made by [`commit_at`].
#[derive(Clone, Copy)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct CommitAtLayer<F>(F);

/// The service of a [`CommitAtLayer`].
#[derive(Clone, Copy)]
pub struct CommitAt<S, F> {
    inner: S,
    predicate: F,
}

impl<S, F: Clone> Layer<S> for CommitAtLayer<F> {
    type Service = CommitAt<S, F>;

    fn layer(&self, inner: S) -> CommitAt<S, F> {
        let predicate = self.0.clone();
        CommitAt { inner, predicate }
    }
}

impl<S, F, R, B> Service<R> for CommitAt<S, F>
where
    S: Service<R, Response = Response<B>>,
    B: Body<Error: Into<BoxError>>,
    F: Fn(Held<'_>) -> Commit + Clone,
{
    type Response = Response<Committed<B>>;
    type Error = S::Error;
    type Future = CommitFuture<S::Future, B, F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        CommitFuture {
            inner: self.inner.call(request),
            predicate: self.predicate.clone(),
            held: None,
            bytes: BytesMut::new(),
        }
    }
}

pin_project! {
    /// The future of a [`CommitAt`].
    ///
    /// # Cancel safety
    /// Dropping it drops what is held, and the body.
    #[must_use = "futures do nothing unless polled"]
    pub struct CommitFuture<F, B, P> {
        #[pin]
        inner: F,
        predicate: P,
        held: Option<Response<Committed<B>>>,
        bytes: BytesMut,
    }
}

impl<F, B, P, E> Future for CommitFuture<F, B, P>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Error: Into<BoxError>>,
    P: Fn(Held<'_>) -> Commit,
{
    type Output = Result<Response<Committed<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.held.is_none() {
            let answer = ready!(this.inner.poll(cx))?.map(Committed::of);
            if !answer.status().is_success() || answer.body().is_end_stream() {
                return Poll::Ready(Ok(answer));
            }
            *this.held = Some(answer);
        }
        let Some(answer) = this.held else {
            return Poll::Pending;
        };
        let body = answer.body_mut();
        let held = ready!(body.poll_hold(&*this.predicate, this.bytes, cx));
        let Some(answer) = this.held.take() else {
            return Poll::Pending;
        };
        Poll::Ready(Ok(match held {
            Ok(()) => answer,
            Err(failed) => failed.answer(answer.map(drop)).map(Committed::made),
        }))
    }
}

impl<F> fmt::Debug for CommitAtLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommitAtLayer")
    }
}

impl<S: fmt::Debug, F> fmt::Debug for CommitAt<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitAt")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<F, B, P> fmt::Debug for CommitFuture<F, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitFuture")
            .field("held", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
