//! The layers of tower itself.

use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;

use super::Case;
use super::bare::OVERLAP;
use crate::subject::{queued, refused_when_occupied, served};

const LIMIT: &str = "tower limit";
const LIMIT_AND_SHED: &str = "tower limit, load shed";

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
];

fn shedding(max: usize) -> (LoadShedLayer, ConcurrencyLimitLayer) {
    (LoadShedLayer::new(), ConcurrencyLimitLayer::new(max))
}
