use std::time::Duration;

use buttress_queue::{Key, Patience, Rows};
use buttress_timer::Moment;

use super::answers::{Step, Turn};
use super::call::{Call, Fate};
use super::{Supply, Waiter};

/// Who waits, and whose turn it is.
///
/// Every call in it stands in one row: in turn, or passed over. The first in turn is called when its units are there. If it does
/// not come, because nobody polls it, it keeps its place but is passed over until it is [`revive`](Self::revive)d. All count against the
/// capacity, so that there is a place to go back to.
#[derive(Debug)]
pub(super) struct Queue<W> {
    pub(super) rows: Rows<Stand<W>, 2>,
    pub(super) capacity: u32,
    pub(super) closed: bool,
    /// What those in turn wait for, all together.
    units: u64,
    /// When the first in turn was called, if it was.
    called: Option<Moment>,
    patience: Patience,
}

#[derive(Debug)]
pub(super) struct Stand<W> {
    call: Call,
    /// When it was called and did not come, if it did not.
    let_pass: Option<Moment>,
    who: W,
}

/// The row of those whose turn comes, and that of those who did not come when it did.
pub(super) const IN_TURN: usize = 0;
pub(super) const PASSED_OVER: usize = 1;

/// How long a call that was called may take to come, at least.
const PATIENCE: Duration = Duration::from_millis(10);

/// How far down the line one looks for somebody whose timer can see to the first.
const LOOK_BACK: usize = 16;

impl<W> Queue<W> {
    pub(super) const fn new(capacity: u32) -> Self {
        Self {
            rows: Rows::new(),
            capacity,
            closed: false,
            units: 0,
            called: None,
            patience: Patience::new(PATIENCE),
        }
    }

    pub(super) const fn waiting(&self) -> u32 {
        self.rows.occupied()
    }

    pub(super) fn in_turn(&self) -> u32 {
        self.rows.length(IN_TURN)
    }

    pub(super) fn first(&self) -> Option<Key> {
        self.rows.first(IN_TURN)
    }

    pub(super) fn anybody(&self) -> Option<Key> {
        self.first().or_else(|| self.rows.first(PASSED_OVER))
    }

    pub(super) fn call(&self, key: Key) -> Option<Call> {
        self.rows.get(key).map(|stand| stand.call)
    }

    /// Refuses what can get nothing here however long it waits.
    pub(super) fn check<S: Supply>(&self, units: u32, supply: &S) -> Result<(), Fate> {
        if self.closed {
            Err(Fate::Closed)
        } else if !supply.fits(units) {
            Err(Fate::NeverFits)
        } else {
            Ok(())
        }
    }

    /// When the turn of a newcomer comes, if all stay that are there.
    pub(super) fn turn_of_newcomer<S: Supply>(
        &self,
        units: u32,
        now: Moment,
        supply: &S,
    ) -> Option<Moment> {
        if self.units == 0 {
            return Some(supply.ready(units, now));
        }
        let all = self.units.saturating_add(units.into());
        supply.turn(all, now)
    }

    /// Gives a call the last place.
    pub(super) fn join(&mut self, call: Call, who: W) -> Key {
        self.units = self.units.saturating_add(call.units.into());
        let let_pass = None;
        let stand = Stand {
            call,
            let_pass,
            who,
        };
        self.rows.push(IN_TURN, stand)
    }

    /// Lets a call go, whatever it was about.
    pub(super) fn leave(&mut self, key: Key) -> Option<W> {
        if self.first() == Some(key) {
            self.called = None;
        }
        let row = self.rows.row_of(key)?;
        let Stand { call, who, .. } = self.rows.remove(key)?;
        if row == IN_TURN {
            self.units = self.units.saturating_sub(call.units.into());
        }
        Some(who)
    }

    /// Ends the wait of a call that took its units.
    pub(super) fn take_up(&mut self, key: Key) -> Option<W> {
        if self.called.is_some() {
            self.patience.shrink();
        }
        self.leave(key)
    }

    pub(super) fn shorten(&mut self, key: Key, deadline: Moment) {
        if let Some(Stand { call, .. }) = self.rows.get_mut(key) {
            let earliest = call.deadline.map_or(deadline, |own| own.min(deadline));
            call.deadline = Some(earliest);
            call.limit = call.limit.min(earliest);
        }
    }

    /// Passes over the first, if it was called and did not come for too long.
    pub(super) fn pass_over(&mut self, now: Moment) {
        let Some((key, called)) = self.first().zip(self.called) else {
            return;
        };
        if called.plus(self.patience.now()) <= now
            && let Some(stand) = self.rows.get_mut(key)
        {
            stand.let_pass = self.called.take();
            self.units = self.units.saturating_sub(stand.call.units.into());
            self.rows.move_by_late_arrival(key, PASSED_OVER);
        }
    }

    /// Lets a call that was passed over wait again, at its old place. It was there all the time, so it was passed over too soon:
    /// the next may take longer.
    pub(super) fn revive(&mut self, key: Key, now: Moment) {
        let Some(stand) = self.rows.get_mut(key) else {
            return;
        };
        let Some(called) = stand.let_pass.take() else {
            return;
        };
        self.units = self.units.saturating_add(stand.call.units.into());
        self.patience.grow(now.since(called));
        self.rows.move_by_arrival(key, IN_TURN);
        if self.first() == Some(key) {
            // Whoever was called in its stead is not first any more.
            self.called = None;
        }
    }

    /// Gives a call that asks its units, or says why it must wait or go.
    pub(super) fn try_turn<S: Supply>(
        &mut self,
        key: Key,
        call: Call,
        now: Moment,
        supply: &S,
    ) -> Turn<S::Receipt> {
        if call.is_past_deadline(now) {
            return Turn::Over(Fate::PastDeadline);
        }
        if let Err(fate) = self.check(call.units, supply) {
            return Turn::Over(fate);
        }
        let mut ready = None;
        if self.first() == Some(key) {
            match supply.take_late(call.units, now) {
                Ok(receipt) => return Turn::Admitted(receipt),
                Err(later) => ready = Some(later),
            }
            self.called = None;
        }
        match self.fate_of_waiting(call, ready, now, supply) {
            Some(fate) => Turn::Over(fate),
            None => Turn::Waits,
        }
    }

    /// What becomes of a call whose units are not there, if it cannot wait on; `ready` is when they are, for the first.
    fn fate_of_waiting<S: Supply>(
        &self,
        call: Call,
        ready: Option<Moment>,
        now: Moment,
        supply: &S,
    ) -> Option<Fate> {
        if call.limit > now && !ready.is_some_and(|ready| call.cannot_wait_until(ready)) {
            return None;
        }
        Some(self.fate_at_limit(call, now, supply))
    }

    /// What happens to a call whose wait is over.
    pub(super) fn fate_at_limit<S: Supply>(&self, call: Call, now: Moment, supply: &S) -> Fate {
        // It would come back behind the others.
        let turn = supply.turn(self.units.max(call.units.into()), now);
        call.fate_at_limit(turn)
    }
}

impl<W: Waiter> Queue<W> {
    /// See [`Line::step`](super::Line::step).
    pub(super) fn step<S: Supply>(&mut self, now: Moment, supply: &S) -> Step<W> {
        self.pass_over(now);
        let Some((key, first)) = self.rows.row(IN_TURN).next() else {
            return Step::Watch([None, None, None]);
        };
        if let Some(called) = self.called {
            return Step::Watch(self.watch(None, called.plus(self.patience.now())));
        }
        let (call, who) = (first.call, first.who.clone());
        let ready = supply.ready(call.units, now);
        if let Some(fate) = self.fate_of_first(call, ready, now, supply) {
            self.turn_out(key, fate);
            return Step::TurnOut(who, fate);
        }
        if ready <= now {
            self.called = Some(now);
            return Step::Call(who);
        }
        let due = if who.can_watch() {
            ready.plus(self.patience.now())
        } else {
            ready
        };
        Step::Watch(self.watch(Some((who, ready)), due))
    }

    fn fate_of_first<S: Supply>(
        &self,
        call: Call,
        ready: Moment,
        now: Moment,
        supply: &S,
    ) -> Option<Fate> {
        if call.is_past_deadline(now) {
            return Some(Fate::PastDeadline);
        }
        self.check(call.units, supply).err().or_else(|| {
            // What is there may be taken even if the longest wait is over: nobody waited for nothing.
            (ready > now)
                .then(|| self.fate_of_waiting(call, Some(ready), now, supply))
                .flatten()
        })
    }

    /// Who looks again, and when: those that are able to, the second in turn and the newest, which was heard of last.
    fn watch(&self, first: Option<(W, Moment)>, due: Moment) -> [Option<(W, Moment)>; 3] {
        let able = |&(_, stand): &(Key, &Stand<W>)| stand.who.can_watch();
        let others = self.rows.row(IN_TURN).skip(1).take(LOOK_BACK);
        let second = others.into_iter().find(able);
        let newest = self.rows.last(IN_TURN).filter(|&newest| {
            Some(newest) != self.first() && second.is_none_or(|(second, _)| second != newest)
        });
        let newest = newest.and_then(|key| Some((key, self.rows.get(key)?)));
        let at_due = |(_, stand): (Key, &Stand<W>)| (stand.who.clone(), due);
        [first, second.map(at_due), newest.filter(able).map(at_due)]
    }

    pub(super) fn turn_out(&mut self, key: Key, fate: Fate) -> Option<W> {
        let who = self.leave(key)?;
        who.turn_out(fate);
        Some(who)
    }
}
