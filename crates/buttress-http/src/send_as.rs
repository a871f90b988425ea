use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

/// Sends requests to a service that takes bodies of one type only, whatever type the layers above have made of them.
///
/// A request that may be sent again has a [`Replayed`](crate::Replayed) body. hyper-util's client takes any body; axum's `Body`,
/// tonic's `Channel` and reqwest do not: this stands innermost and boxes the body, at one allocation a request.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::body::Body;
/// use buttress_http::SendAsLayer;
///
/// let innermost = SendAsLayer::<Body>::new();
/// # let _ = innermost;
/// # }
/// ```
pub struct SendAsLayer<T>(PhantomData<fn() -> T>);

impl<T> SendAsLayer<T> {
    /// Sends bodies of type `T`.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// The service of [`SendAsLayer`].
pub struct SendAs<S, T> {
    inner: S,
    body: PhantomData<fn() -> T>,
}

/// A type of bodies that others can be put into.
///
/// Implemented behind the features `axum`, `tonic` and `reqwest` for their bodies.
#[diagnostic::on_unimplemented(
    message = "a body of type `{B}` cannot be put into one of type `{Self}`",
    note = "the features `axum`, `tonic` and `reqwest` of buttress-http know how, for bodies of `Bytes` that are `Send`, for reqwest `Sync` too"
)]
pub trait BodyFrom<B> {
    /// Puts `body` into one of this type.
    fn body_from(body: B) -> Self;
}

/// Each of them boxes whatever body of bytes it gets.
macro_rules! boxes {
    ($feature:literal, $body:ty, $make:path $(, $sync:ident)?) => {
        #[cfg(feature = $feature)]
        #[cfg_attr(docsrs, doc(cfg(feature = $feature)))]
        impl<B> BodyFrom<B> for $body
        where
            B: http_body::Body<Data = bytes::Bytes> + Send $(+ $sync)? + 'static,
            B::Error: Into<crate::replayed::BoxError>,
        {
            fn body_from(body: B) -> Self {
                $make(body)
            }
        }
    };
}

boxes!("axum", axum::body::Body, axum::body::Body::new);
boxes!("tonic", tonic::body::Body, tonic::body::Body::new);
boxes!("reqwest", reqwest::Body, reqwest::Body::wrap, Sync);

impl<S, T> Layer<S> for SendAsLayer<T> {
    type Service = SendAs<S, T>;

    fn layer(&self, inner: S) -> SendAs<S, T> {
        SendAs {
            inner,
            body: PhantomData,
        }
    }
}

impl<S, T, B> Service<Request<B>> for SendAs<S, T>
where
    S: Service<Request<T>>,
    T: BodyFrom<B>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.inner.call(request.map(T::body_from))
    }
}

impl<T> Clone for SendAsLayer<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SendAsLayer<T> {}

impl<T> Default for SendAsLayer<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for SendAsLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendAsLayer")
    }
}

impl<S: Clone, T> Clone for SendAs<S, T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            body: PhantomData,
        }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for SendAs<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAs")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
