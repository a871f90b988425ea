//! Fallback chains through their public face, around plain calls.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test fails the test"
)]

mod caches;
mod cancel;
mod distributed;
mod exercise;
mod gates;
mod layer;
mod levels;
mod loss;
mod readiness;
mod support;
mod times;
