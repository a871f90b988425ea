//! governor: a limit for all and one for each key, each with the thinnest possible layer around it.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use governor::clock::QuantaInstant;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Case, Hoard};
use crate::inner::Inner;
use crate::keys::{MANY, caller_of};
use crate::subject::{Subject, refused, served};

const WHO: &str = "governor";

pub(super) const CASES: &[Case] = &[
    Case::serving(WHO, "rate limit free", |inner| {
        served(inner, direct(free()))
    }),
    Case::special(WHO, "rate limit spent: refuse", || refused(direct(spent()))),
    Case::serving(WHO, "rate limit by key: 1 key", by_key::<1>),
    Case::serving(WHO, "rate limit by key: 1000 keys", by_key::<1000>),
    Case::serving(WHO, "rate limit by key: 1 M keys", by_key::<MANY>),
    Case::special(WHO, "rate limit by key: refuse", || {
        refused(keyed::<1000>(spent()))
    }),
];

pub(super) const HOARD: Hoard = Hoard {
    who: WHO,
    fill: || Box::new(known(free(), MANY)),
};

/// Never spent, however fast calls come.
fn free() -> Quota {
    let quota = Quota::with_period(Duration::from_nanos(1)).expect("it is some time");
    quota.allow_burst(NonZeroU32::MAX)
}

/// Spent by one call.
fn spent() -> Quota {
    Quota::per_hour(NonZeroU32::MIN)
}

fn direct(quota: Quota) -> Governor<impl Check> {
    let limit: Arc<DefaultDirectRateLimiter> = Arc::new(RateLimiter::direct(quota));
    Governor(move |_| limit.check())
}

fn by_key<const CALLERS: u64>(inner: Inner) -> Box<dyn Subject> {
    served(inner, keyed::<CALLERS>(free()))
}

fn keyed<const CALLERS: u64>(quota: Quota) -> Governor<impl Check> {
    let limits = Arc::new(known(quota, CALLERS));
    Governor(move |request| limits.check_key(&caller_of(request, CALLERS)))
}

/// Limits of which each was asked once.
fn known(quota: Quota, callers: u64) -> DefaultKeyedRateLimiter<u64> {
    let limits = RateLimiter::keyed(quota);
    for caller in 0..callers {
        assert!(
            limits.check_key(&caller).is_ok(),
            "it is asked for the first time"
        );
    }
    limits
}

/// Asks the limit of a request.
trait Check: Fn(u64) -> Result<(), Refusal> + Clone + Send + 'static {}

impl<F: Fn(u64) -> Result<(), Refusal> + Clone + Send + 'static> Check for F {}

type Refusal = NotUntil<QuantaInstant>;

struct Governor<F>(F);

impl<S, F: Check> Layer<S> for Governor<F> {
    type Service = Limited<S, F>;

    fn layer(&self, inner: S) -> Limited<S, F> {
        Limited {
            inner,
            check: self.0.clone(),
        }
    }
}

#[derive(Clone)]
struct Limited<S, F> {
    inner: S,
    check: F,
}

enum Error<E> {
    Inner(E),
    Refused(#[expect(dead_code, reason = "what a caller would be told")] Refusal),
}

impl<S: Service<u64>, F: Check> Service<u64> for Limited<S, F> {
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = Answer<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Error::Inner)
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        match (self.check)(request) {
            Ok(()) => Answer::Called {
                call: self.inner.call(request),
            },
            Err(refusal) => Answer::Refused {
                refusal: Some(refusal),
            },
        }
    }
}

pin_project! {
    #[project = AnswerProjection]
    enum Answer<F> {
        Called { #[pin] call: F },
        Refused { refusal: Option<Refusal> },
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for Answer<F> {
    type Output = Result<T, Error<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnswerProjection::Called { call } => call.poll(cx).map_err(Error::Inner),
            AnswerProjection::Refused { refusal } => {
                let refusal = refusal
                    .take()
                    .expect("a future is not polled after its end");
                Poll::Ready(Err(Error::Refused(refusal)))
            }
        }
    }
}
