use buttress_timer::Moment;

/// Why units were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// They are there after so many nanoseconds, not one earlier, if nobody else comes.
    After(u64),
    /// They are more than can ever be there.
    Never,
}

impl Wait {
    /// How long, in nanoseconds, if there is an end to it.
    pub(crate) const fn nanos(self) -> Option<u64> {
        match self {
            Self::After(nanos) => Some(nanos),
            Self::Never => None,
        }
    }
}

/// What is left at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// The units that can be taken now.
    pub(crate) remaining: u32,
    /// The nanoseconds until nothing is spent, if nobody takes more.
    pub(crate) clear_after: u64,
}

/// When the clock stops, 36 years after the start: later moments fit no word. From then on nothing comes back.
pub(crate) const LATEST: u64 = (1 << 60) - 1;

/// The time as it fits a word.
#[inline]
pub(crate) fn clock(now: Moment) -> u64 {
    now.nanos().min(LATEST)
}
