//! What the machine answers.

use std::time::Duration;

use buttress_core::Priority;
use buttress_queue::Key;
use tokio::time::Instant;

use super::queue::Fate;
use super::slots::Claim;

/// Something that somebody must be told, now that the lock is released.
#[derive(Debug)]
pub(crate) enum Notice<W> {
    /// It has a slot, and must take it up.
    Granted(W),
    /// It has left the queue.
    TurnedOut(W, Fate),
    /// A call of this class did not take up its grant in time.
    Revoked(Priority),
}

/// What came of an arrival.
#[derive(Debug)]
pub(crate) struct Arrival<W> {
    /// Its place, if it got one.
    pub(crate) place: Result<Key, NoPlace>,
    /// Who had to make room for it.
    pub(crate) turned_out: Option<Notice<W>>,
    /// Whether somebody may be served now, itself perhaps.
    pub(crate) serve: bool,
}

impl<W> Arrival<W> {
    pub(super) const fn none(why: NoPlace) -> Self {
        Self {
            place: Err(why),
            turned_out: None,
            serve: false,
        }
    }
}

/// Why an arrival got no place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    Full,
    Closed,
}

/// How it stands with a call that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is in, after such a wait. Somebody else must watch now if there are other grants, as it may have done so.
    Admitted {
        claim: Claim,
        waited: Duration,
        others: bool,
    },
    /// It must wait, at most until then.
    Waits(Instant),
    /// It waits no more for the one who has let a grant pass: somebody is to be served, itself perhaps. Or it was passed over
    /// itself, and shows now that it is there.
    Served,
    /// Its wait is over. It may have held a slot until now, which is free for somebody.
    Over(Fate),
    /// It was turned out earlier, and has been told its fate.
    Gone,
}
