#![doc = include_str!("../README.md")]

mod call;
mod config;
mod connection;
mod event;
mod future;
mod handle;
mod layer;
mod limits;
mod service;
mod shared;
mod snapshot;
mod state;
mod watch;

pub use crate::config::AdaptiveTimeoutBuilder;
pub use crate::connection::{ConnectionTimeout, ConnectionTimeoutFuture, ConnectionTimeoutLayer};
pub use crate::event::{Event, Phase};
pub use crate::future::TimeoutFuture;
pub use crate::handle::AdaptiveTimeout;
pub use crate::layer::AdaptiveTimeoutLayer;
pub use crate::service::AdaptiveTimeoutService;
pub use crate::snapshot::Snapshot;
pub use crate::watch::BodyWatch;
