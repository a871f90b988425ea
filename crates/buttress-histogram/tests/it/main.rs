//! The public face of the histogram: quantiles against sorted lists, and threads.
#![cfg(not(any(buttress_loom, buttress_shuttle)))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail a test"
)]

mod censored;
mod draws;
mod quantiles;
mod threads;
