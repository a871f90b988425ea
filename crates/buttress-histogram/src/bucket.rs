use std::time::Duration;

#[cfg(test)]
mod tests;

/// A range of durations that are counted as one.
///
/// *Log-linear*: every doubling is cut into 16 buckets of the same width, as in Gil Tene's `HdrHistogram` and in Circllhist
/// (Hartmann, Schlossnagle: Circllhist, a log-linear histogram data structure for IT infrastructure monitoring, 2020). The
/// middle of a bucket is within 1/32 (3.125 %) of every duration in it.
///
/// Two buckets have no such bound: the first takes everything shorter than 992 ns, zero included, and the last everything
/// from 3710.851743744 s (1 h 1 min 51 s) up to [`Duration::MAX`]. There are no gaps: each bucket ends where the next begins.
/// Buckets are ordered like their durations.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use buttress_histogram::Bucket;
///
/// let bucket = Bucket::of(Duration::from_millis(20));
/// assert_eq!(bucket.lower(), Duration::from_nanos(19_922_944));
/// assert_eq!(bucket.upper(), Duration::from_nanos(20_971_520));
/// assert_eq!(Bucket::all().nth(bucket.index()), Some(bucket));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

/// Where the second bucket begins, in nanoseconds: the highest beginning of a step that is below 1 µs.
const SECOND_LOWER: u64 = 992;

/// The first bucket stands for all steps below the second.
const STEPS_IN_FIRST: u64 = step(SECOND_LOWER) - 1;

/// So many that the last begins past one hour.
const COUNT: u16 = 510;

const LAST: u16 = COUNT - 1;

/// Past the beginning of the last bucket, in seconds, and far from overflowing in nanoseconds.
const PAST_THE_END: u64 = 4000;

/// Of the 52 that a float has, those that a step leaves out.
const UNUSED_FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1 - 4;

impl Bucket {
    /// How many buckets there are: 510.
    pub const COUNT: usize = COUNT as usize;

    /// The bucket that counts `duration`.
    #[inline]
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        Self(Self::places_above(0, duration))
    }

    /// How many places the bucket of `duration` is above that of index `lowest`; none when it is below.
    #[inline]
    pub(crate) fn places_above(lowest: u16, duration: Duration) -> u16 {
        let seconds = duration.as_secs().min(PAST_THE_END);
        let nanos = seconds * 1_000_000_000 + u64::from(duration.subsec_nanos());
        let places = step(nanos).saturating_sub(STEPS_IN_FIRST + u64::from(lowest));
        #[expect(clippy::cast_possible_truncation, reason = "LAST fits")]
        {
            places.min(u64::from(LAST.saturating_sub(lowest))) as u16
        }
    }

    /// All buckets, those of the shortest durations first.
    #[must_use]
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..COUNT).map(Self)
    }

    /// Its place among all buckets, below [`Self::COUNT`]: where an array of counts keeps its own.
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The shortest duration in it.
    #[must_use]
    pub fn lower(self) -> Duration {
        Duration::from_nanos(self.lower_nanos())
    }

    /// Where the next bucket begins; of the last bucket [`Duration::MAX`], which is in it.
    #[must_use]
    pub fn upper(self) -> Duration {
        if self.0 < LAST {
            Self(self.0 + 1).lower()
        } else {
            Duration::MAX
        }
    }

    /// Halfway from `lower` to `upper`, and what its durations are reported as; of the last bucket, which is endless, `lower`.
    #[must_use]
    pub fn middle(self) -> Duration {
        Duration::from_nanos(self.middle_nanos())
    }

    pub(crate) fn middle_nanos(self) -> u64 {
        let lower = self.lower_nanos();
        let upper = Self(self.0 + 1).lower_nanos();
        if self.0 < LAST {
            lower.midpoint(upper)
        } else {
            lower
        }
    }

    fn lower_nanos(self) -> u64 {
        if self.0 == 0 {
            0
        } else {
            first_nanos(u64::from(self.0) + STEPS_IN_FIRST)
        }
    }
}

/// How far a number is down the line of all floating-point numbers with four bits of fraction.
///
/// That line is log-linear by itself: sixteen steps of the same width to each doubling. Exact below 2^53.
const fn step(nanos: u64) -> u64 {
    (nanos as f64).to_bits() >> UNUSED_FRACTION_BITS
}

/// The first number of a step from 16 on: below, steps are finer than whole numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and positive"
)]
const fn first_nanos(step: u64) -> u64 {
    f64::from_bits(step << UNUSED_FRACTION_BITS) as u64
}
