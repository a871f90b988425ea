//! The rate limit through its public face, on paused time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests may fail a test"
)]

mod behaviour;
mod configuration;
mod events;
mod keyed;
mod service;
mod support;
mod waiting;
mod weighted;
