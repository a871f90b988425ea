//! backon: around one call, and without a budget.

use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};

use super::Case;
use super::bare::FALTERS;
use crate::inner::{Faltering, Inner, Prompt, Yielding};
use crate::subject::{Callee, Served, Subject, Target, calls};

const WHO: &str = "backon, no budget";

pub(super) const CASES: &[Case] = &[
    Case::serving(WHO, "retry: none needed", served),
    // No wait at all takes it a timer too.
    Case::special(WHO, "retry: one, zero wait", || {
        calls::<Served>(Retried(Faltering::leaked()))
    })
    .over(FALTERS)
    .lasting(50, 200),
];

fn served(inner: Inner) -> Box<dyn Subject> {
    match inner {
        Inner::Prompt => calls::<Served>(Retried(Prompt)),
        Inner::Yielding => calls::<Served>(Retried(Yielding)),
    }
}

/// A service each call of which backon repeats.
#[derive(Clone)]
struct Retried<S>(S);

impl<S: Target> Callee for Retried<S> {
    type Error = S::Error;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: u64) -> impl Future<Output = Result<u64, S::Error>> + Send {
        (move || self.0.call(request)).retry(ConstantBuilder::new().with_delay(Duration::ZERO))
    }
}
