//! Tests of buttress that need more than one crate, or real sockets.

mod axum;
mod contract;
mod fallback;
mod futurelock;
mod hammer;
mod hyper_bodies;
mod moved;
mod overload;
mod polls;
mod priorities;
mod promises;
mod queued;
mod rate_limit;
mod retry;
mod retry_budget;
mod retry_readiness;
mod retry_storm;
mod support;
mod tidy;
mod timeouts;
mod tonic;
mod trybuild;
mod types;
