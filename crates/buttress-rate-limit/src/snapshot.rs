use buttress_core::Name;

use crate::config::Algorithm;
use crate::rate::Rate;

/// The figures of a rate limit at one moment. Counts are exact when nothing is running.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The limit's name.
    pub name: Name,
    /// How it counts.
    pub algorithm: Algorithm,
    /// Its rate.
    pub rate: Rate,
    /// The units that may be taken at once at the most: a bucket's burst, a window's limit, 1 at a leaky bucket.
    pub limit: u64,
    /// The units that are there now.
    pub remaining: u64,
    /// Calls admitted since it was built. One that had its units, waited for the service behind until it was too late, and was
    /// refused, counts as refused only.
    pub admitted_count: u64,
    /// Calls refused since it was built.
    pub refused_count: u64,
    /// Calls that wait for their turn.
    pub waiting: u32,
    /// Calls that may wait at once.
    pub max_waiting: u32,
    /// Whether it was closed.
    pub closed: bool,
}

/// The figures of a limit that is kept for each key. Counts are of all keys together.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyedSnapshot {
    /// The limit's name.
    pub name: Name,
    /// How it counts.
    pub algorithm: Algorithm,
    /// Its rate, for each key.
    pub rate: Rate,
    /// Calls admitted since it was built.
    pub admitted_count: u64,
    /// Calls refused since it was built, those without a key among them.
    pub refused_count: u64,
    /// Calls without a key since it was built.
    pub without_key_count: u64,
    /// Keys that are kept.
    pub keys: u64,
    /// Keys that may be kept.
    pub max_keys: u64,
    /// Calls since it was built whose key found no place, and that shared a limit with others.
    pub overflow_count: u64,
}
