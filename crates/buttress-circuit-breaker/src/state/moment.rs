use std::time::Duration;

/// A time on the machine's own clock: nanoseconds since the breaker was built, 584 years of them.
///
/// One word, so that it fits an atomic; every sum stops at the far end instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const START: Self = Self(0);

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) fn after_start(elapsed: Duration) -> Self {
        Self(nanos(elapsed))
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// The time from `earlier` to here; zero when it is no earlier.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in nanoseconds, or the longest that fits.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
