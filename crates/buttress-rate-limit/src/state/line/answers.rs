use buttress_queue::Key;
use buttress_timer::Moment;

use super::call::Fate;

/// What came of an arrival.
#[derive(Debug)]
pub(crate) enum Arrival<R, W> {
    /// It took its units, without a wait.
    Admitted(R),
    /// It has a place.
    Waits {
        who: W,
        key: Key,
        /// When its turn comes, if all before it stay, and as far as anybody can tell.
        turn: Option<Moment>,
        /// Who had to make room for it.
        turned_out: Option<(W, Fate)>,
    },
    Refused(Fate),
}

/// How it stands with a call that asks. After each answer but `Gone` somebody else may be first, or must see to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn<R> {
    /// It took its units, and has left the line.
    Admitted(R),
    Waits,
    /// Its wait is over, and it has left the line.
    Over(Fate),
    /// It was turned out earlier, and has been told its fate.
    Gone,
}

/// What is to be done, now that the lock is released.
#[derive(Debug)]
pub(crate) enum Step<W> {
    /// Wake it: it is first, and its units are there.
    Call(W),
    /// Wake it: it has left the line.
    TurnOut(W, Fate),
    /// Nothing more until then: the first, and up to two that see to it that it comes, look again at these moments.
    Watch([Option<(W, Moment)>; 3]),
}
