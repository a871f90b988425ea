//! The services at the bottom of a case.

use std::fmt;
use std::future::{Future, Pending, Ready, pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tower_service::Service;

/// From this request on [`Obedient`] answers with [`Down`].
pub const FAIL: u64 = 1 << 63;

/// The error of every inner service: a type without size.
#[derive(Clone, Copy, Debug)]
pub struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

/// Which inner service a case that always succeeds is built over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// [`Prompt`].
    Prompt,
    /// [`Yielding`].
    Yielding,
}

/// Answers at once.
#[derive(Clone, Copy, Debug)]
pub struct Prompt;

impl Service<u64> for Prompt {
    type Response = u64;
    type Error = Down;
    type Future = Ready<Result<u64, Down>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// Answers at once; fails from the request [`FAIL`] on.
#[derive(Clone, Copy, Debug)]
pub struct Obedient;

impl Service<u64> for Obedient {
    type Response = u64;
    type Error = Down;
    type Future = Ready<Result<u64, Down>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        ready(if request >= FAIL {
            Err(Down)
        } else {
            Ok(request)
        })
    }
}

/// Fails at once.
#[derive(Clone, Copy, Debug)]
pub struct Failing;

impl Service<u64> for Failing {
    type Response = u64;
    type Error = Down;
    type Future = Ready<Result<u64, Down>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, _: u64) -> Self::Future {
        ready(Err(Down))
    }
}

/// Fails the first attempt of a request and answers the second. Requests that follow each other must differ.
#[derive(Clone, Copy, Debug)]
pub struct Faltering(&'static AtomicU64);

impl Faltering {
    /// A service that has had no call. Its word is never freed: so a clone costs nothing, as with the other inner services.
    pub fn leaked() -> Self {
        Self(Box::leak(Box::new(AtomicU64::new(NOBODY))))
    }
}

/// No request at all.
const NOBODY: u64 = u64::MAX;

impl Service<u64> for Faltering {
    type Response = u64;
    type Error = Down;
    type Future = Ready<Result<u64, Down>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        let failed = self.0.load(Ordering::Relaxed) == request;
        self.0
            .store(if failed { NOBODY } else { request }, Ordering::Relaxed);
        ready(if failed { Ok(request) } else { Err(Down) })
    }
}

/// Lets other tasks run once before it answers.
#[derive(Clone, Copy, Debug)]
pub struct Yielding;

impl Service<u64> for Yielding {
    type Response = u64;
    type Error = Down;
    type Future = AfterOthers;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        AfterOthers {
            request,
            waited: false,
        }
    }
}

/// The answer of [`Yielding`].
#[derive(Debug)]
pub struct AfterOthers {
    request: u64,
    waited: bool,
}

impl Future for AfterOthers {
    type Output = Result<u64, Down>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.waited {
            return Poll::Ready(Ok(self.request));
        }
        self.waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Never answers.
#[derive(Clone, Copy, Debug)]
pub struct Hanging;

impl Service<u64> for Hanging {
    type Response = u64;
    type Error = Down;
    type Future = Pending<Result<u64, Down>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, _: u64) -> Self::Future {
        pending()
    }
}

/// Answers a call once it is let go, and tells which call it was given last. Whoever lets a call go polls it: nobody is woken.
#[derive(Clone, Copy, Debug)]
pub struct Held(&'static Desk);

#[derive(Debug, Default)]
struct Desk {
    begun: AtomicU64,
    let_go: AtomicU64,
}

impl Held {
    /// A service that has had no call, and lets none go. Its two words are never freed: so a clone costs nothing, as with the
    /// other inner services.
    pub fn leaked() -> Self {
        Self(Box::leak(Box::default()))
    }

    /// The request that came last.
    pub fn begun(self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Lets this request and those below it end.
    pub fn let_go(self, request: u64) {
        self.0.let_go.store(request, Ordering::Relaxed);
    }
}

impl Service<u64> for Held {
    type Response = u64;
    type Error = Down;
    type Future = LetGo;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        self.0.begun.store(request, Ordering::Relaxed);
        LetGo {
            request,
            desk: self.0,
        }
    }
}

/// The answer of [`Held`].
#[derive(Debug)]
pub struct LetGo {
    request: u64,
    desk: &'static Desk,
}

impl Future for LetGo {
    type Output = Result<u64, Down>;

    #[inline]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.request > self.desk.let_go.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.request))
    }
}
