use std::fmt;
use std::iter;
use std::time::Duration;

use crate::Bucket;

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests;

/// What a [`Histogram`](crate::Histogram) had counted at one moment: plain numbers, 4080 bytes.
///
/// Every duration that is told is the middle of a bucket. From 992 ns to 1 h 1 min 51 s it is within 1/32 (3.125 %) of the
/// duration that was recorded; a shorter one is told as 496 ns, and a longer one as 1 h 1 min 51 s.
#[derive(Clone, PartialEq, Eq)]
pub struct HistogramSnapshot([u64; Bucket::COUNT]);

impl HistogramSnapshot {
    /// Has nothing in it, so that others can be merged into it.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; Bucket::COUNT])
    }

    pub(crate) const fn from_counts(counts: [u64; Bucket::COUNT]) -> Self {
        Self(counts)
    }

    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The shortest recorded duration that the share `q` of all does not exceed, as the middle of its bucket.
    ///
    /// 0.5 asks for the median, 0.0 for the shortest, 1.0 for the longest. By nearest rank: nothing is interpolated.
    ///
    /// `None` when nothing was recorded, or when `q` is not from 0.0 to 1.0, as NaN is not.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = rank(q, self.count())?;
        let mut seen = 0_u64;
        self.buckets().find_map(|(bucket, count)| {
            seen = seen.saturating_add(count);
            (seen >= rank).then(|| bucket.middle())
        })
    }

    /// The mean of what was recorded; `None` when nothing was.
    ///
    /// Each duration counts as the middle of its bucket, so the mean is within 1/32 (3.125 %) of the exact one, give or take
    /// 496 ns for those shorter than 992 ns. When some were longer than 1 h 1 min 51 s it is too low, by no known bound.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let sum = |(sum, all): (u128, u128), (bucket, count): (Bucket, u64)| {
            let count = u128::from(count);
            (sum + u128::from(bucket.middle_nanos()) * count, all + count)
        };
        let (sum, all) = self.buckets().fold((0, 0), sum);
        let nanos = u64::try_from(sum.checked_div(all)?).ok()?;
        Some(Duration::from_nanos(nanos))
    }

    /// A duration that none of the recorded ones exceeds: the upper end of the highest bucket with any in it.
    ///
    /// At most 1/16 (6.25 %) longer than the longest one, when that is 992 ns or more; [`Duration::MAX`] when one was longer
    /// than 1 h 1 min 51 s. `None` when nothing was recorded.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        let (highest, _) = self.buckets().rfind(|&(_, count)| count > 0)?;
        Some(highest.upper())
    }

    /// All buckets, empty ones too, with how many durations each counted; those of the shortest first.
    #[must_use]
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = (Bucket, u64)> + ExactSizeIterator {
        iter::zip(Bucket::all(), self.0.iter().copied())
    }

    /// Adds what `other` counted, as if this had counted it too. Counts stop at [`u64::MAX`].
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in iter::zip(&mut self.0, &other.0) {
            *count = count.saturating_add(*more);
        }
    }
}

impl Default for HistogramSnapshot {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistogramSnapshot")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p95", &self.quantile(0.95))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max())
            .finish()
    }
}

/// Which of `count` durations, by length and counted from 1, is the quantile `q`.
fn rank(q: f64, count: u64) -> Option<u64> {
    if count == 0 || !(0.0..=1.0).contains(&q) {
        return None;
    }
    // One float down, as HdrHistogram does: 0.07 is stored as a little more than that, and of 100 it asks for the 7th.
    let rank = (q.next_down() * count as f64).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole, and what is below 0 is 0 then"
    )]
    Some((rank as u64).clamp(1, count))
}
