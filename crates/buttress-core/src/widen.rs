use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Adopt, Error};

/// Makes room for refusals in the error type of the service below: `E` becomes [`Error<E>`].
///
/// Stands innermost, once, around a client with an error type of its own. A service whose error is boxed, or implements
/// [`Rejectable`](crate::Rejectable), does not need it, and `respond` of `buttress-http` brings its own.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a layer without settings is written as its name"
)]
pub struct WidenLayer;

impl<S> Layer<S> for WidenLayer {
    type Service = Widen<S>;

    fn layer(&self, inner: S) -> Widen<S> {
        Widen::new(inner)
    }
}

/// It has no protocol to choose.
impl<Q> Adopt<Q> for WidenLayer {
    type Adopted = Self;

    fn adopt(self, _: Q) -> Self {
        self
    }
}

/// A service whose error has room for refusals; made by [`WidenLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Widen<S>(S);

impl<S> Widen<S> {
    /// Makes room in the error type of `inner`.
    pub const fn new(inner: S) -> Self {
        Self(inner)
    }

    /// The service below.
    pub const fn inner(&self) -> &S {
        &self.0
    }
}

impl<S: Service<Req>, Req> Service<Req> for Widen<S> {
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = WidenFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(Error::Inner)
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        WidenFuture::new(self.0.call(request))
    }
}

pin_project! {
    /// A future whose error has room for refusals; made by [`Widen`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WidenFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F> WidenFuture<F> {
    /// Makes room in the error type of `inner`.
    pub const fn new(inner: F) -> Self {
        Self { inner }
    }
}

impl<F, T, E> Future for WidenFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, Error<E>>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx).map_err(Error::Inner)
    }
}
