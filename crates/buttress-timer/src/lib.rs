#![doc = include_str!("../README.md")]

mod alarm;
mod moment;
mod timer;

pub use crate::alarm::Alarm;
pub use crate::moment::{Moment, nanos};
pub use crate::timer::Timer;
