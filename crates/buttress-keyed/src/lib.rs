#![doc = include_str!("../README.md")]

mod by_key;
mod keyed;
mod keyed_layer;
mod map;
mod per_key;
mod room;
mod table;
mod waiting_keyed_layer;

pub use crate::by_key::{ByKey, MissingKey};
pub use crate::keyed::Keyed;
pub use crate::keyed_layer::KeyedLayer;
pub use crate::map::{KeyedMap, Owner, validate_max_keys};
pub use crate::per_key::{PerKey, is_held_once};
pub use crate::waiting_keyed_layer::WaitingKeyedLayer;
