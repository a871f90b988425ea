use std::array;
use std::fmt;
use std::time::Duration;

use buttress_sync::atomic::{AtomicU64, Ordering};

use crate::{Bucket, HistogramSnapshot};

/// Counts durations, each in its [`Bucket`], from any number of threads.
///
/// Recording is one relaxed add. Counts have 64 bits: at 10^9 durations a second one would wrap after 584 years. Nothing is
/// allocated, and it never grows: 4080 bytes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use buttress_histogram::Histogram;
///
/// let waits = Histogram::new();
/// for millis in 1..=100 {
///     waits.record(Duration::from_millis(millis));
/// }
/// let snapshot = waits.snapshot();
/// assert_eq!(snapshot.count(), 100);
/// let p95 = snapshot.quantile(0.95).expect("something was recorded");
/// assert!(p95.abs_diff(Duration::from_millis(95)) * 32 <= Duration::from_millis(95));
/// ```
pub struct Histogram([AtomicU64; Bucket::COUNT]);

impl Histogram {
    /// Starts with nothing recorded.
    #[must_use]
    pub fn new() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Counts `duration`, whatever its length.
    #[inline]
    pub fn record(&self, duration: Duration) {
        if let Some(count) = self.0.get(Bucket::of(duration).index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts as they are.
    ///
    /// Those of durations that other threads record meanwhile may be missing; once nothing runs it is exact.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        self.read(|count| count.load(Ordering::Relaxed))
    }

    /// Takes the counts out, and starts again at zero.
    ///
    /// Every duration is in exactly one of the drained snapshots, or still to be drained, however many threads record and
    /// drain at once.
    #[must_use = "what is drained is in no later snapshot"]
    pub fn drain(&self) -> HistogramSnapshot {
        self.read(|count| count.swap(0, Ordering::Relaxed))
    }

    fn read(&self, read: impl Fn(&AtomicU64) -> u64) -> HistogramSnapshot {
        HistogramSnapshot::from_counts(self.0.each_ref().map(read))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.snapshot()).finish()
    }
}
