#![doc = include_str!("../README.md")]

mod cache;
mod cloned;
mod config;
mod course;
mod descent;
mod event;
mod exercise;
mod future;
mod gate;
mod handle;
mod layer;
mod looks;
mod mark;
mod run;
mod rung;
mod service;
mod shared;
mod snapshot;
mod source;
mod state;

pub use crate::cache::{DistributedCache, DistributedCacheLevel, InMemory, LocalCache, WithTenant};
pub use crate::cloned::CloneBy;
pub use crate::config::FallbackChainBuilder;
pub use crate::event::Event;
pub use crate::future::FallbackFuture;
pub use crate::handle::FallbackChain;
pub use crate::layer::FallbackLayer;
pub use crate::mark::{MapServed, MarkServed, Unmarked};
pub use crate::run::{ByError, Cause, Exhausted, Failed, Served};
pub use crate::service::FallbackService;
pub use crate::snapshot::{LevelSnapshot, Snapshot};
pub use crate::source::Source;
