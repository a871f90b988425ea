#![doc = include_str!("../README.md")]

mod alarm;

pub use crate::alarm::Alarm;
