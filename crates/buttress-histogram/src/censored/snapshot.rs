use std::fmt;
use std::iter;
use std::time::Duration;

use crate::Bucket;
use crate::censored::row::{Row, place_of, with_buckets, zeros};

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests;

/// What a [`CensoredHistogram`](crate::CensoredHistogram) had counted when it was drained: plain numbers, 3296 bytes.
///
/// Every duration that is told is the middle of a bucket. From 65.536 µs to 1 h 1 min 51 s it is within 1/32 (3.125 %) of the
/// duration that was recorded; a shorter one is told as 67.584 µs, and a longer one as 1 h 1 min 51 s.
#[derive(Clone, PartialEq, Eq)]
pub struct CensoredSnapshot {
    completed: Row<u32>,
    censored: Row<u32>,
}

impl CensoredSnapshot {
    /// Has nothing in it, so that others can be merged into it.
    #[must_use]
    pub const fn new() -> Self {
        Self::from_rows(zeros(), zeros())
    }

    pub(crate) const fn from_rows(completed: Row<u32>, censored: Row<u32>) -> Self {
        Self {
            completed,
            censored,
        }
    }

    /// How many durations were recorded to their end.
    #[must_use]
    pub fn completed(&self) -> u64 {
        sum(&self.completed)
    }

    /// How many were given up.
    #[must_use]
    pub fn censored(&self) -> u64 {
        sum(&self.censored)
    }

    /// How many were recorded in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.completed() + self.censored()
    }

    /// The shortest duration that the share `q` of all does not exceed, as far as what was recorded can tell.
    ///
    /// The estimate of Kaplan and Meier (Nonparametric Estimation from Incomplete Observations, 1958): what was given up counts
    /// among what was still running for as long as it ran, and says nothing of later. It is right where giving up has nothing
    /// to do with how long it would still have taken, as with a timeout. Within a bucket, giving up comes after completing.
    ///
    /// 0.5 asks for the median, 0.0 for the shortest of the completed. Nothing is interpolated; where nothing shorter was given
    /// up it is by nearest rank, exactly as [`HistogramSnapshot::quantile`](crate::HistogramSnapshot::quantile).
    ///
    /// `None` when it lies beyond what is known, as 0.95 does when every tenth was given up before it ended and nothing took
    /// longer; when nothing was completed; and when `q` is not from 0.0 to 1.0, as NaN is not.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let [told] = self.quantiles([q]);
        told
    }

    /// Several quantiles for little more than the price of one: what [`Self::quantile`] tells of each share, in their order.
    ///
    /// ```
    /// use std::time::Duration;
    /// use buttress_histogram::CensoredHistogram;
    ///
    /// let calls = CensoredHistogram::new();
    /// calls.record(Duration::from_millis(20));
    /// let [p50, p99] = calls.drain().quantiles([0.5, 0.99]);
    /// assert!(p50.is_some() && p50 == p99);
    /// ```
    #[must_use]
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Option<Duration>; N] {
        let count = self.count();
        let wanted = shares.map(|q| wanted(q, count));
        let mut told = [None; N];
        for (bucket, known) in self.known() {
            for (told, wanted) in iter::zip(&mut told, wanted) {
                if told.is_none() && wanted.is_some_and(|wanted| wanted <= known) {
                    *told = Some(bucket.middle());
                }
            }
        }
        told
    }

    /// The same without what was given up: what those took that were there to tell.
    #[must_use]
    pub fn without_censored(&self) -> Self {
        Self::from_rows(self.completed, zeros())
    }

    /// How many were completed that took longer than `duration`, by a bucket at least.
    #[must_use]
    pub fn completed_above(&self, duration: Duration) -> u64 {
        let longer = self.completed.iter().skip(place_of(duration) + 1);
        longer.map(|&count| u64::from(count)).sum()
    }

    /// Adds what `other` counted, as if it had been recorded here too. The counts of a bucket stop at [`u32::MAX`].
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.completed, &other.completed);
        add(&mut self.censored, &other.censored);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// How many of all are known to be no longer than each bucket, of those buckets in which some were completed.
    ///
    /// By handing on, which comes to the same as the product of Kaplan and Meier (Efron: The two sample problem with censored
    /// data, 1967): whatever is given up leaves what it stood for to those that run on, in equal parts. Until the first is
    /// given up this counts in whole numbers, and so exactly.
    fn known(&self) -> impl Iterator<Item = (Bucket, f64)> {
        let mut running = self.count();
        let mut each_stands_for = 1.0;
        let mut known = 0.0;
        let both = iter::zip(self.completed, self.censored);
        with_buckets(both).filter_map(move |(bucket, (completed, censored))| {
            known += each_stands_for * f64::from(completed);
            let told = if each_stands_for > 1.0 {
                known * ROUNDING
            } else {
                known
            };
            running -= u64::from(completed);
            let run_on = running - u64::from(censored);
            if run_on > 0 {
                each_stands_for *= running as f64 / run_on as f64;
            }
            running = run_on;
            (completed > 0).then_some((bucket, told))
        })
    }
}

impl Default for CensoredSnapshot {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CensoredSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p95, p99] = self.quantiles([0.5, 0.95, 0.99]);
        f.debug_struct("CensoredSnapshot")
            .field("completed", &self.completed())
            .field("censored", &self.censored())
            .field("p50", &p50)
            .field("p95", &p95)
            .field("p99", &p99)
            .finish()
    }
}

/// Makes up for all that rounding may have taken: 412 products and their sums, with a factor that was rounded 824 times, are
/// off by less than 1300 times 2^-53, which is 1.5e-13. Else a share that is known just so, as all are when the longest was
/// completed, would be missed.
const ROUNDING: f64 = 1.0 + 1e-12;

/// How many of `count` are to be known before the quantile `q` is.
fn wanted(q: f64, count: u64) -> Option<f64> {
    // One float down, as for the nearest rank: 0.07 is stored as a little more than that, and of 100 it asks for 7.
    (0.0..=1.0)
        .contains(&q)
        .then(|| q.next_down() * count as f64)
}

fn sum(row: &Row<u32>) -> u64 {
    row.iter().copied().map(u64::from).sum()
}

fn add(row: &mut Row<u32>, more: &Row<u32>) {
    for (count, more) in iter::zip(row, more) {
        *count = count.saturating_add(*more);
    }
}
