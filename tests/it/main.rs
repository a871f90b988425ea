//! Tests of buttress that need more than one crate, or real sockets.

mod axum;
mod contract;
mod hyper_bodies;
mod moved;
mod promises;
mod queued;
mod support;
mod tidy;
mod tonic;
mod trybuild;
mod types;
