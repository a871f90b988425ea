//! recloser: a breaker without a layer of its own, so the thinnest possible one stands around it.

use std::task::{Context, Poll};
use std::time::Duration;

use recloser::{AnyError, AsyncRecloser, Recloser, RecloserFuture};
use tower_layer::Layer;
use tower_service::Service;

use super::Case;
use super::bare::FIFTIETH_FAILS;
use crate::subject::{fiftieth_fails, refused, served};

const WHO: &str = "recloser";

pub(super) const CASES: &[Case] = &[
    Case::serving(WHO, "breaker closed: count window, healthy", |inner| {
        served(inner, count_window())
    }),
    Case::special(WHO, "breaker closed: count window, failures in it", || {
        fiftieth_fails(count_window())
    })
    .over(FIFTIETH_FAILS),
    Case::special(WHO, "breaker open: refuse", || refused(count_window())),
];

fn count_window() -> Reclosed {
    let recloser = Recloser::custom()
        .closed_len(100)
        .open_wait(Duration::from_secs(60))
        .build();
    Reclosed(AsyncRecloser::from(recloser))
}

struct Reclosed(AsyncRecloser);

impl<S> Layer<S> for Reclosed {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            recloser: self.0.clone(),
        }
    }
}

#[derive(Clone)]
struct Guarded<S> {
    inner: S,
    recloser: AsyncRecloser,
}

impl<S: Service<u64>> Service<u64> for Guarded<S> {
    type Response = S::Response;
    type Error = recloser::Error<S::Error>;
    type Future = RecloserFuture<S::Future, AnyError>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(recloser::Error::Inner)
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        self.recloser.call(self.inner.call(request))
    }
}
