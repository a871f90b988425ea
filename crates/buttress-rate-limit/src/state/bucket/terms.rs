/// How fast units come back, and how many there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The nanoseconds in which one unit comes back; what does not divide evenly is rounded up, so that no rate is exceeded.
    interval: u64,
    /// The nanoseconds in which an empty bucket fills: a burst of intervals.
    capacity: u64,
}

/// The longest time in which a bucket may fill: nine years. Twice that after the end of the clock still fits a word.
pub(crate) const MOST_CAPACITY: u64 = 1 << 58;

impl Terms {
    /// Terms under which nothing is ever there.
    pub(super) const NOTHING: Self = Self {
        interval: 1,
        capacity: 0,
    };

    /// One unit in each interval, and a burst of units at most; `None` when one of them is zero, or they take longer than
    /// [`MOST_CAPACITY`] together.
    pub(crate) const fn new(interval: u64, burst: u32) -> Option<Self> {
        match interval.checked_mul(burst as u64) {
            Some(capacity @ 1..=MOST_CAPACITY) => Some(Self { interval, capacity }),
            _ => None,
        }
    }

    /// What stood in the words of a bucket. They may be of two terms; whoever uses them finds that out.
    #[inline]
    pub(super) const fn read(interval: u64, capacity: u64) -> Self {
        Self { interval, capacity }
    }

    /// The nanoseconds in which one unit comes back.
    #[inline]
    pub(crate) const fn interval(self) -> u64 {
        self.interval
    }

    /// The nanoseconds in which all of it comes back.
    #[inline]
    pub(crate) const fn capacity(self) -> u64 {
        self.capacity
    }

    /// The most units that can be there.
    pub(crate) const fn burst(self) -> u32 {
        self.units_in(self.capacity)
    }

    /// The nanoseconds that so many units stand for.
    #[inline]
    pub(super) const fn cost(self, units: u32) -> u64 {
        (units as u64).saturating_mul(self.interval)
    }

    /// The whole units that come back in such a time.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the branch before it sees to that"
    )]
    pub(super) const fn units_in(self, nanos: u64) -> u32 {
        match nanos.checked_div(self.interval) {
            Some(units) if units < u32::MAX as u64 => units as u32,
            _ => u32::MAX,
        }
    }
}
