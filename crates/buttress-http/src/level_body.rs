use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_sync::Mutex;
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::fallback_body::as_bytes;
use crate::replayed::BoxError;

/// The body of an answer from below the primary of a chain, whatever level gives it: bytes, or a body of any type.
///
/// ```
/// use buttress_http::LevelBody;
/// use http::Response;
///
/// let nothing_to_show: Response<LevelBody> = Response::new("[]".into());
/// # let _ = nothing_to_show;
/// ```
pub struct LevelBody(Kind);

enum Kind {
    Made(Bytes),
    /// The lock makes it `Sync`, and with it the future of a chain that holds an answer; nobody waits for it.
    Boxed(Mutex<BoxBody>),
}

type BoxBody = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

impl LevelBody {
    /// Boxes a body.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        Self(Kind::Boxed(Mutex::new(Box::pin(OfBytes { body }))))
    }
}

impl<T: Into<Bytes>> From<T> for LevelBody {
    fn from(bytes: T) -> Self {
        Self(Kind::Made(bytes.into()))
    }
}

impl Body for LevelBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Made(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Made(bytes) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Kind::Boxed(body) => body.lock().as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Made(bytes) => bytes.is_empty(),
            Kind::Boxed(body) => body.lock().is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Made(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Boxed(body) => body.lock().size_hint(),
        }
    }
}

impl fmt::Debug for LevelBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LevelBody")
    }
}

pin_project! {
    struct OfBytes<B> {
        #[pin]
        body: B,
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for OfBytes<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().body.poll_frame(cx).map(as_bytes)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Lets a service be a level of a chain beside others: its answers have a [`LevelBody`].
///
/// Levels with answers of one type need no such thing.
pub const fn level<S>(service: S) -> LevelService<S> {
    LevelService(service)
}

/// The service of [`level`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a service does nothing until it is called"]
pub struct LevelService<S>(S);

impl<S, R, B> Service<R> for LevelService<S>
where
    S: Service<R, Response = Response<B>>,
    B: Body<Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<LevelBody>;
    type Error = S::Error;
    type Future = LevelFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        LevelFuture {
            inner: self.0.call(request),
        }
    }
}

pin_project! {
    /// The future of a [`LevelService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LevelFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for LevelFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<LevelBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.project().inner.poll(cx))?;
        Poll::Ready(Ok(answer.map(LevelBody::new)))
    }
}
