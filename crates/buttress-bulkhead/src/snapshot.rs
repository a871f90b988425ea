use buttress_core::Name;

/// The figures of a bulkhead at one moment. Counts are exact when nothing is running.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The bulkhead's name.
    pub name: Name,
    /// Calls inside.
    pub active_calls: u32,
    /// Calls that may be inside at once.
    pub max_concurrent: u32,
    /// Calls that wait to get in: always 0 where none may wait.
    pub queued_calls: u32,
    /// Calls refused since it was built.
    pub rejected_calls: u64,
    /// Calls inside as a percentage of the limit: 0 to 100, above it after the limit was lowered under calls that run.
    pub utilization_percent: f64,
    /// Calls that ended since it was built: succeeded.
    pub success_count: u64,
    /// Calls that ended since it was built: failed, overloaded or throttled.
    pub failure_count: u64,
    /// Calls that ended since it was built without saying anything: dropped, or refused further in.
    pub neutral_count: u64,
    /// Whether it was closed.
    pub closed: bool,
}
