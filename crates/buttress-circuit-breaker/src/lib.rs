#![doc = include_str!("../README.md")]

mod builder;
mod component;
mod config;
mod counts;
mod event;
mod handle;
mod keyed;
mod keyed_builder;
mod keyed_snapshot;
mod layer;
mod permit;
mod probe;
mod shared;
mod snapshot;
mod state;
mod telling;
mod window;

pub use buttress_keyed::{KeyedLayer, MissingKey};

pub use crate::builder::CircuitBreakerBuilder;
pub use crate::event::{Cause, Event, Probes, Story};
pub use crate::handle::CircuitBreaker;
pub use crate::keyed::KeyedCircuitBreaker;
pub use crate::keyed_builder::KeyedCircuitBreakerBuilder;
pub use crate::keyed_snapshot::{KeyedSnapshot, States};
pub use crate::layer::CircuitBreakerLayer;
pub use crate::permit::Permit;
pub use crate::probe::OnProbe;
pub use crate::snapshot::{Snapshot, State};
pub use crate::window::Window;
