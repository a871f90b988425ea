#![doc = include_str!("../README.md")]

mod config;
mod event;
mod handle;
mod layer;
mod permit;
mod shared;
mod snapshot;
mod state;

pub use crate::config::BulkheadBuilder;
pub use crate::event::Event;
pub use crate::handle::Bulkhead;
pub use crate::layer::RefusingBulkheadLayer;
pub use crate::permit::Permit;
pub use crate::snapshot::Snapshot;
