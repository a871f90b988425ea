#![doc = include_str!("../README.md")]

mod backoff;
mod budget;
mod config;
mod course;
mod event;
mod future;
mod handle;
mod layer;
mod run;
mod service;
mod shared;
mod snapshot;
mod span;
mod state;
mod tailored;

pub use crate::backoff::{Backoff, Jitter};
pub use crate::budget::{BudgetSnapshot, RetryBudget, RetryBudgetBuilder, RetryToken};
pub use crate::config::RetryBuilder;
pub use crate::event::{Event, Stop};
pub use crate::future::RetryFuture;
pub use crate::handle::Retry;
pub use crate::layer::RetryBudgetLayer;
pub use crate::service::RetryService;
pub use crate::snapshot::Snapshot;
pub use crate::tailored::{CloneBy, RecoverBy, RepeatableBy};
