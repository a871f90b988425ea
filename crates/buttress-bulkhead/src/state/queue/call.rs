use buttress_core::Priority;
use tokio::time::Instant;

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) priority: Priority,
    pub(crate) joined: Instant,
    /// When its wait is over: by the longest wait, or by the deadline if that is sooner.
    pub(crate) limit: Instant,
    /// After which it may not start, slot or no slot.
    pub(crate) deadline: Option<Instant>,
}

/// Why a call left the queue without a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A higher class needed its place, or the queue was made shorter.
    Displaced,
    /// It has waited for as long as anybody may.
    Expired,
    /// Its caller's deadline has passed.
    PastDeadline,
    /// The bulkhead was closed.
    Closed,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Waits,
    /// It let a grant pass and has not been heard of since.
    PassedOver,
    /// It has a slot, since then.
    Granted(Instant),
    /// It was turned out.
    Gone,
}

/// What happened in a class since the queue was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Grants that were taken up.
    pub(crate) granted: u64,
    pub(crate) displaced: u64,
    /// Waits that ended by the longest wait or by a deadline.
    pub(crate) expired: u64,
    /// Grants that nobody took up in time.
    pub(crate) revoked: u64,
}

impl Call {
    /// What happens to it when its wait is over.
    pub(crate) fn fate_at_limit(&self) -> Fate {
        if self.deadline.is_some_and(|deadline| deadline <= self.limit) {
            Fate::PastDeadline
        } else {
            Fate::Expired
        }
    }
}

impl Tally {
    pub(super) const fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Displaced => self.displaced += 1,
            Fate::Expired | Fate::PastDeadline => self.expired += 1,
            Fate::Closed => {}
        }
    }
}
