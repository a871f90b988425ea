//! Durations in JSON are milliseconds, to the microsecond.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Serializes a `Duration` or an `Option<Duration>`.
pub fn serialize<D, S>(duration: &D, serializer: S) -> Result<S::Ok, S::Error>
where
    D: Copy + Into<Option<Duration>>,
    S: Serializer,
{
    let millis = |duration: Duration| duration.as_micros() as f64 / 1_000.0;
    (*duration).into().map(millis).serialize(serializer)
}
