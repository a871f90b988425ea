#![doc = include_str!("../README.md")]

mod bucket;
mod censored;
mod histogram;
mod horizon;
mod snapshot;

pub use crate::bucket::Bucket;
pub use crate::censored::{CensoredHistogram, CensoredSnapshot};
pub use crate::histogram::Histogram;
pub use crate::horizon::Horizon;
pub use crate::snapshot::HistogramSnapshot;
