//! The crate from outside: stacks as users write them, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]

mod adoption;
mod allocations;
mod axum_server;
mod client;
mod commit;
mod deadlines;
mod exhausted;
mod hyper_server;
mod kept;
#[cfg(feature = "axum")]
mod keys;
mod levels;
mod not_sent;
mod quotas;
mod respond;
mod support;
mod weighted;
