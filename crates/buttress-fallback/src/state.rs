//! The walk down a chain: which level is asked next, and how long it may take. No clock, no task, no chance.

use std::time::Duration;

use buttress_core::Deadline;
use tokio::time::Instant;

/// The levels of a chain that one call has not asked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// A bit for each place.
    unasked: u8,
}

impl Walk {
    /// All of these places, the first being the primary's.
    pub(crate) const fn of(places: u8) -> Self {
        Self {
            unasked: if places >= 8 {
                u8::MAX
            } else {
                (1 << places) - 1
            },
        }
    }

    /// Asks this place now, before its turn. Nothing where it was asked already.
    pub(crate) const fn ask(&mut self, place: u8) -> Option<u8> {
        let bit = if place < 8 { 1 << place } else { 0 };
        if self.unasked & bit == 0 {
            return None;
        }
        self.unasked &= !bit;
        Some(place)
    }

    /// Asks the first place that was not asked yet.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a bit of eight is one of eight"
    )]
    pub(crate) const fn next(&mut self) -> Option<u8> {
        if self.unasked == 0 {
            return None;
        }
        let place = self.unasked.trailing_zeros() as u8;
        self.unasked &= self.unasked - 1;
        Some(place)
    }

    /// Whether the primary is still to be asked.
    pub(crate) const fn is_before_primary(self) -> bool {
        self.unasked & 1 != 0
    }

    /// How many are left, with the one that is asked now.
    const fn left(self) -> u32 {
        self.unasked.count_ones() + 1
    }

    /// How long the level that is asked now may take of the time that is left: an equal part with those after it, or as long as
    /// was set for it. One that is asked before the primary has its part at most.
    pub(crate) fn share(self, left: Duration, own: Option<Duration>) -> Duration {
        let part = left / self.left();
        let most = if self.is_before_primary() { part } else { left };
        own.map_or(part, |own| own.min(most))
    }
}

/// The time of a call, once anybody looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When nothing is asked any more.
    end: Instant,
    /// What the request says.
    deadline: Option<Deadline>,
    /// When the level that is asked now was asked.
    pub(crate) since: Instant,
    /// When it is given up.
    pub(crate) due: Instant,
    /// Whether no level was asked yet.
    is_new: bool,
}

impl Times {
    /// Of a call that may take this long, or until its deadline.
    pub(crate) fn start(now: Instant, deadline: Option<Deadline>, total: Duration) -> Self {
        let end = match deadline {
            Some(deadline) => deadline.instant(),
            None => Deadline::after(now, total).instant(),
        };
        Self {
            end,
            deadline,
            since: now,
            due: end,
            is_new: true,
        }
    }

    /// Lets the level be asked that the walk has come to.
    pub(crate) fn ask(&mut self, now: Instant, walk: Walk, own: Option<Duration>) {
        let left = self.end.saturating_duration_since(now);
        self.since = now;
        self.is_new = false;
        self.due = Deadline::after(now, walk.share(left, own))
            .instant()
            .min(self.end);
    }

    /// Whether no level was asked yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether whoever set the deadline has gone: then nothing more is asked.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline.has_passed(now))
    }

    /// Whether it is the caller who has gone then, and no limit of ours.
    pub(crate) fn is_callers(&self) -> bool {
        self.deadline.is_some_and(Deadline::is_callers)
    }

    /// What the level that is asked now is told.
    pub(crate) fn told(&self) -> Deadline {
        let own = Deadline::at(self.due).as_total();
        self.deadline.map_or(own, |deadline| own.earlier(deadline))
    }

    pub(crate) fn took(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests;
