#![doc = include_str!("../README.md")]

mod bucket;
mod histogram;
mod snapshot;

pub use crate::bucket::Bucket;
pub use crate::histogram::Histogram;
pub use crate::snapshot::HistogramSnapshot;
