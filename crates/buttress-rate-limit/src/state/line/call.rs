use buttress_timer::Moment;

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) units: u32,
    pub(crate) joined: Moment,
    /// When its wait is over: by the longest wait, or by the deadline if that is sooner.
    pub(crate) limit: Moment,
    /// From which on it may not start, units or no units.
    pub(crate) deadline: Option<Moment>,
}

/// Why a call leaves without its units, or finds no place to wait for them. Where it is known, `turn` is when they would have been
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No more calls may wait.
    Full { turn: Option<Moment> },
    /// It may not wait so long, or has waited for as long as anybody may.
    Expired { turn: Option<Moment> },
    /// Its caller's deadline has passed, or comes before its turn.
    PastDeadline,
    /// So many units are never there at once.
    NeverFits,
    /// The limit was closed.
    Closed,
}

impl Call {
    /// What happens to it when its wait is over.
    pub(crate) fn fate_at_limit(&self, turn: Option<Moment>) -> Fate {
        if self.deadline.is_some_and(|deadline| deadline <= self.limit) {
            Fate::PastDeadline
        } else {
            Fate::Expired { turn }
        }
    }

    /// Whether its wait, or its time, is over before a turn at this moment.
    pub(super) fn cannot_wait_until(&self, turn: Moment) -> bool {
        self.limit < turn || self.is_past_deadline(turn)
    }

    pub(super) fn is_past_deadline(&self, now: Moment) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}
