use std::time::Duration;

use buttress_core::Name;

/// The figures of a timeout at one moment. Counts are exact when nothing is running.
///
/// The quantiles are those of the time that calls take to their end, over HTTP to the head of the answer, in the last 24 to 30 s, or
/// of the last 80 calls if they reach further back; calls that were cut count as "at least so long". `None` where nothing was seen, or
/// where so many were cut that it lies beyond; always where the timeout is fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub name: Name,
    /// Half of all calls take no longer.
    pub p50: Option<Duration>,
    /// 95 of 100 calls take no longer.
    pub p95: Option<Duration>,
    /// 99 of 100 calls take no longer.
    pub p99: Option<Duration>,
    /// 999 of 1000 calls take no longer.
    pub p999: Option<Duration>,
    /// How many calls these are, cut ones included.
    pub samples: u64,
    /// How long a call may take at this moment.
    pub current_timeout: Duration,
    /// Whether it learns.
    pub adaptive_enabled: bool,
    /// Calls that were cut by it, since it was built.
    pub timed_out: u64,
    /// Calls that were cut by the caller's deadline, or came after it, since it was built.
    pub deadline_exceeded: u64,
}
