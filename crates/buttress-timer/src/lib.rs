#![doc = include_str!("../README.md")]

mod alarm;
mod moment;

pub use crate::alarm::Alarm;
pub use crate::moment::{Moment, nanos};
