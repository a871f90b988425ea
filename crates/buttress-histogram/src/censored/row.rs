//! The part of all buckets that is told apart where some durations are cut short: a limit that is shorter is of no use, and
//! the counts are to be small.

use std::iter;
use std::time::Duration;

use crate::Bucket;

/// How many buckets lie below 65.536 µs, where the first one begins.
const SKIPPED: u16 = 98;

const LENGTH: usize = Bucket::COUNT - SKIPPED as usize;

/// One of something for each bucket. The first stands for everything shorter too.
pub(crate) type Row<T> = [T; LENGTH];

/// Where a row keeps what belongs to `duration`.
#[inline]
pub(crate) fn place_of(duration: Duration) -> usize {
    usize::from(Bucket::places_above(SKIPPED, duration))
}

/// What a row keeps, with the buckets.
pub(crate) fn with_buckets<T>(
    row: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (Bucket, T)> {
    iter::zip(Bucket::all().skip(SKIPPED.into()), row)
}

/// Counts of nothing.
pub(crate) const fn zeros() -> Row<u32> {
    [0; LENGTH]
}
