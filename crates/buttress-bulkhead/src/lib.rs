#![doc = include_str!("../README.md")]

mod acquire;
mod component;
mod config;
mod event;
mod handle;
mod keyed;
mod keyed_builder;
mod keyed_snapshot;
mod layer;
mod permit;
mod prioritised;
mod refusals;
mod refusing_layer;
mod shared;
mod snapshot;
mod state;
mod waiter;

pub use buttress_keyed::{KeyedLayer, MissingKey, WaitingKeyedLayer};

pub use crate::acquire::Acquire;
pub use crate::config::BulkheadBuilder;
pub use crate::event::Event;
pub use crate::handle::Bulkhead;
pub use crate::keyed::KeyedBulkhead;
pub use crate::keyed_builder::KeyedBulkheadBuilder;
pub use crate::keyed_snapshot::KeyedSnapshot;
pub use crate::layer::BulkheadLayer;
pub use crate::permit::Permit;
pub use crate::prioritised::Prioritised;
pub use crate::refusing_layer::RefusingBulkheadLayer;
pub use crate::snapshot::{ClassSnapshot, Snapshot};
