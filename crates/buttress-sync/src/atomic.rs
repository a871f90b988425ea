//! The atomics that a state machine stands on: those of std, loom's under `--cfg buttress_loom`, or shuttle's under
//! `--cfg buttress_shuttle`.

#[cfg(buttress_loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(buttress_shuttle)]
pub use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(not(any(buttress_loom, buttress_shuttle)))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
