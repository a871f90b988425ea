use std::time::Duration;

/// A time on a machine's own clock: nanoseconds since its component was built, 544 years of them.
///
/// One word, so that it fits an atomic; every sum stops at the far end instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// When the component was built.
    pub const START: Self = Self(0);

    /// So many nanoseconds after the start.
    #[inline]
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// So long after the start.
    #[inline]
    #[must_use]
    pub fn after_start(elapsed: Duration) -> Self {
        Self(nanos(elapsed))
    }

    /// The nanoseconds since the start.
    #[inline]
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// So long after this moment.
    #[inline]
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// The nanoseconds from `earlier` to here; zero when it is no earlier.
    #[inline]
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from `earlier` to here; zero when it is no earlier.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in nanoseconds, or the longest that fits.
#[inline]
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs();
    // 2^34 seconds are 544 years, and a shift is the cheapest comparison.
    if seconds >> 34 == 0 {
        seconds * 1_000_000_000 + u64::from(duration.subsec_nanos())
    } else {
        u64::MAX
    }
}
