use std::array;
use std::fmt;
use std::time::Duration;

use buttress_sync::atomic::{AtomicU32, Ordering};

use crate::censored::row::{Row, place_of};

mod row;
mod snapshot;

pub use crate::censored::snapshot::CensoredSnapshot;

/// Counts durations of which some were cut short, from any number of threads.
///
/// What took its time to the end is *completed*; what was given up is *censored*: it would have taken at least so long, and
/// nobody knows how much longer. Counting the censored as if they had ended then, or not at all, makes everything look faster
/// than it is; [`CensoredSnapshot::quantile`] does neither.
///
/// Recording is one relaxed add. It is to be drained now and then: a bucket has room for 2^32 - 1 durations of each kind between
/// two drains, and starts again at zero with the next. Nothing is allocated, and it never grows: 3296 bytes.
///
/// Its buckets are the 412 of [`Bucket`](crate::Bucket) from 65.536 µs (2^16 ns) on. The first of them counts everything
/// shorter too.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use buttress_histogram::CensoredHistogram;
///
/// let calls = CensoredHistogram::new();
/// for millis in 1..=90 {
///     calls.record(Duration::from_millis(millis));
/// }
/// for _ in 0..10 {
///     calls.record_censored(Duration::from_millis(100)); // timed out
/// }
/// let drained = calls.drain();
/// let median = drained.quantile(0.5).expect("half of them are known");
/// assert!(median.abs_diff(Duration::from_millis(50)) * 32 <= Duration::from_millis(50));
/// assert_eq!(drained.quantile(0.95), None); // above 100 ms, but where?
/// assert_eq!(calls.drain().count(), 0);
/// ```
pub struct CensoredHistogram {
    completed: Counts,
    censored: Counts,
}

type Counts = Row<AtomicU32>;

impl CensoredHistogram {
    /// Starts with nothing recorded.
    #[must_use]
    pub fn new() -> Self {
        let zeros = || array::from_fn(|_| AtomicU32::new(0));
        Self {
            completed: zeros(),
            censored: zeros(),
        }
    }

    /// Counts what took `duration`, whatever its length.
    #[inline]
    pub fn record(&self, duration: Duration) {
        count(&self.completed, duration);
    }

    /// Counts what was given up after `duration`, and would have taken at least so long.
    #[inline]
    pub fn record_censored(&self, duration: Duration) {
        count(&self.censored, duration);
    }

    /// Takes the counts out, and starts again at zero.
    ///
    /// Every duration is in exactly one of the drained snapshots, or still to be drained, however many threads record and
    /// drain at once.
    #[must_use = "what is drained is in no later snapshot"]
    pub fn drain(&self) -> CensoredSnapshot {
        // Most are zero: to look first leaves their cache lines with whoever records.
        self.read(|count| match count.load(Ordering::Relaxed) {
            0 => 0,
            _ => count.swap(0, Ordering::Relaxed),
        })
    }

    fn read(&self, read: impl Fn(&AtomicU32) -> u32) -> CensoredSnapshot {
        let row = |counts: &Counts| counts.each_ref().map(&read);
        CensoredSnapshot::from_rows(row(&self.completed), row(&self.censored))
    }
}

impl Default for CensoredHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CensoredHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.read(|count| count.load(Ordering::Relaxed));
        f.debug_tuple("CensoredHistogram").field(&counts).finish()
    }
}

#[inline]
fn count(counts: &Counts, duration: Duration) {
    if let Some(count) = counts.get(place_of(duration)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
