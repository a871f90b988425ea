#![doc = include_str!("../README.md")]

mod letter;
mod patience;
mod rows;

pub use crate::letter::Letter;
pub use crate::patience::Patience;
pub use crate::rows::{Key, Rows};
