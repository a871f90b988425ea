//! The layers of tower itself.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use tower::buffer::BufferLayer;
use tower::limit::{ConcurrencyLimitLayer, RateLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::retry::budget::{Budget, TpsBudget};
use tower::retry::{Policy, RetryLayer};
use tower::timeout::TimeoutLayer;

use super::Case;
use super::bare::{FALTERS, OVERLAP, WAITS};
use crate::inner::Inner;
use crate::subject::{
    first_attempt_fails, pending_once, queued, refused, refused_when_occupied, served,
};

const LIMIT: &str = "tower limit";
const LIMIT_AND_SHED: &str = "tower limit, load shed";
const RATE: &str = "tower rate limit, buffer";
const RATE_AND_SHED: &str = "tower rate, shed, buffer";
const TIMEOUT: &str = "tower timeout";
const RETRY: &str = "tower retry, TpsBudget";

pub(super) const CASES: &[Case] = &[
    Case::serving(LIMIT, "bulkhead free", |inner| {
        served(inner, ConcurrencyLimitLayer::new(100))
    }),
    Case::serving(LIMIT_AND_SHED, "bulkhead free", |inner| {
        served(inner, shedding(100))
    }),
    // The limit is one that lets wait, so it stands beside both kinds of ours.
    Case::serving(LIMIT, "bulkhead free, with a queue", |inner| {
        served(inner, ConcurrencyLimitLayer::new(100))
    }),
    Case::special(LIMIT_AND_SHED, "bulkhead full: refuse", || {
        refused_when_occupied(shedding(1))
    }),
    // Waits in `poll_ready`, for as long as it takes.
    Case::special(LIMIT, "bulkhead: queued call", || {
        queued(ConcurrencyLimitLayer::new(1))
    })
    .over(OVERLAP),
    Case::serving(RETRY, "retry: none needed", |inner| {
        served(inner, RetryLayer::new(Within::full()))
    }),
    Case::special(RETRY, "retry: one, zero wait", || {
        first_attempt_fails(RetryLayer::new(Within::full()))
    })
    .over(FALTERS),
    // The limit is not `Clone`, so a buffer stands around it, whose worker ends with the runtime that it was made in.
    Case::special(RATE, "rate limit free", || {
        served(
            Inner::Prompt,
            (buffer(), rate(1_000_000_000, Duration::from_secs(1))),
        )
    }),
    Case::special(RATE_AND_SHED, "rate limit spent: refuse", || {
        let spent = rate(1, Duration::from_secs(3600));
        refused((buffer(), (LoadShedLayer::new(), spent)))
    }),
    Case::serving(TIMEOUT, "timeout fixed: ready", |inner| {
        served(inner, timeout())
    }),
    Case::special(
        TIMEOUT,
        "timeout fixed: pending",
        || pending_once(timeout()),
    )
    .over(WAITS),
];

fn timeout() -> TimeoutLayer {
    TimeoutLayer::new(Duration::from_secs(30))
}

fn buffer() -> BufferLayer<u64> {
    BufferLayer::new(100)
}

fn rate(calls: u64, per: Duration) -> RateLimitLayer {
    RateLimitLayer::new(calls, per)
}

fn shedding(max: usize) -> (LoadShedLayer, ConcurrencyLimitLayer) {
    (LoadShedLayer::new(), ConcurrencyLimitLayer::new(max))
}

/// The policy of tower's documentation: a budget, and no back-off.
#[derive(Clone)]
struct Within(Arc<TpsBudget>);

impl Within {
    /// A success brings as much as a retry takes, so that the budget lasts though every call is retried.
    fn full() -> Self {
        Self(Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 1.0)))
    }
}

impl<E> Policy<u64, u64, E> for Within {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, E>) -> Option<Ready<()>> {
        if result.is_ok() {
            self.0.deposit();
            return None;
        }
        self.0.withdraw().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}
