#![doc = include_str!("../README.md")]

mod acquire;
mod config;
mod event;
mod handle;
mod keyed;
mod layer;
mod permit;
mod rate;
mod refusals;
mod shared;
mod snapshot;
mod state;
mod waiter;
mod waiting_layer;
mod weighted;

pub use buttress_keyed::MissingKey;

pub use crate::acquire::Acquire;
pub use crate::config::{Algorithm, RateLimitBuilder};
pub use crate::event::Event;
pub use crate::handle::RateLimit;
pub use crate::keyed::{
    KeyedGate, KeyedPermit, KeyedRateLimit, KeyedRateLimitBuilder, KeyedRateLimitLayer,
};
pub use crate::layer::RateLimitLayer;
pub use crate::permit::{Charged, Permit};
pub use crate::rate::Rate;
pub use crate::snapshot::{KeyedSnapshot, Snapshot};
pub use crate::waiting_layer::WaitingRateLimitLayer;
pub use crate::weighted::{ActualCost, Estimated, Weighted};
