use std::fmt;

/// How the life of one call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    Failed,
    Refused,
    Panicked,
    DroppedUnready,
    DroppedReady,
    DroppedUnpolled,
    DroppedRunning,
    DroppedUnread,
    DroppedReading,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Panicked => "panicked",
            Self::DroppedUnready => "service dropped before it was ready",
            Self::DroppedReady => "readied service dropped without a call",
            Self::DroppedUnpolled => "future dropped before its first poll",
            Self::DroppedRunning => "future dropped while it ran",
            Self::DroppedUnread => "response dropped unread",
            Self::DroppedReading => "response dropped while it was read",
        })
    }
}

/// How many calls ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endings {
    /// Answered, and the response read to its end.
    pub answered: usize,
    /// Failed with the inner service's own error, in readiness or in the call.
    pub failed: usize,
    /// Failed with any other error: the layer's.
    pub refused: usize,
    /// Ended with a panic of the inner service.
    pub panicked: usize,
    /// The service was dropped before it was ready.
    pub dropped_unready: usize,
    /// The service was ready, and dropped without a call.
    pub dropped_ready: usize,
    /// The future was dropped before its first poll.
    pub dropped_unpolled: usize,
    /// The future was dropped after some polls.
    pub dropped_running: usize,
    /// The response was dropped unread.
    pub dropped_unread: usize,
    /// The response was dropped after some parts.
    pub dropped_reading: usize,
}

impl Endings {
    /// How many calls ended.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.answered + self.failed + self.refused + self.panicked + self.dropped()
    }

    /// How many calls were dropped before they had ended by themselves.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        let service = self.dropped_unready + self.dropped_ready;
        let future = self.dropped_unpolled + self.dropped_running;
        service + future + self.dropped_unread + self.dropped_reading
    }

    pub(crate) fn record(&mut self, end: End) {
        *self.count_of(end) += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.refused += other.refused;
        self.panicked += other.panicked;
        self.dropped_unready += other.dropped_unready;
        self.dropped_ready += other.dropped_ready;
        self.dropped_unpolled += other.dropped_unpolled;
        self.dropped_running += other.dropped_running;
        self.dropped_unread += other.dropped_unread;
        self.dropped_reading += other.dropped_reading;
    }

    fn count_of(&mut self, end: End) -> &mut usize {
        match end {
            End::Answered => &mut self.answered,
            End::Failed => &mut self.failed,
            End::Refused => &mut self.refused,
            End::Panicked => &mut self.panicked,
            End::DroppedUnready => &mut self.dropped_unready,
            End::DroppedReady => &mut self.dropped_ready,
            End::DroppedUnpolled => &mut self.dropped_unpolled,
            End::DroppedRunning => &mut self.dropped_running,
            End::DroppedUnread => &mut self.dropped_unread,
            End::DroppedReading => &mut self.dropped_reading,
        }
    }
}

impl fmt::Display for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered, {} failed, ", self.answered, self.failed)?;
        write!(
            f,
            "{} refused, {} panicked; dropped: ",
            self.refused, self.panicked
        )?;
        write!(
            f,
            "{} unready, {} ready, ",
            self.dropped_unready, self.dropped_ready
        )?;
        write!(
            f,
            "{} unpolled, {} running, ",
            self.dropped_unpolled, self.dropped_running
        )?;
        write!(
            f,
            "{} unread, {} half read",
            self.dropped_unread, self.dropped_reading
        )
    }
}
