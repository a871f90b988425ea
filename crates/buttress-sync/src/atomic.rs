//! The atomics that a state machine stands on: those of std, or loom's under `--cfg buttress_loom`.

#[cfg(buttress_loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(not(buttress_loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
