//! The machine beside the model: the same steps for both, and the same answers expected.

use std::collections::BTreeSet;
use std::rc::Rc;

use buttress_timer::Moment;

use super::super::{Arrival, Call, Fate, Key, Line, Step, Supply, Turn};
use super::model::{Model, Says, Todo};
use super::{MILLI, Tap, Who};

#[derive(Clone, Debug)]
pub(super) enum Act {
    Arrive(Newcomer),
    /// Takes units only if it need not wait.
    Admit(u32),
    Poll(usize),
    /// Polls whoever was called.
    Come,
    Leave(usize),
    LeaveCalled,
    Shorten(usize, u64),
    SetAble(usize, bool),
    Wait(u64),
    /// Lets the time pass until the first may take its units.
    WaitForFirst,
    Step(usize),
    ChangeRate(u64, u32),
    PutBack(u32),
    Close,
}

#[derive(Clone, Debug)]
pub(super) struct Newcomer {
    pub(super) units: u32,
    pub(super) longest_wait: u64,
    pub(super) deadline: Option<u64>,
    pub(super) reserves: bool,
}

/// A call that got units: when, how many, and at what rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    pub(super) at: u64,
    pub(super) units: u32,
    pub(super) changes: u32,
}

pub(super) struct Pair {
    line: Line<Who>,
    tap: Tap,
    model: Model,
    keys: Vec<(u64, Key, Who)>,
    pub(super) now: u64,
    arrivals: u64,
    changes: u32,
    pub(super) outs: Vec<Out>,
    pub(super) met: BTreeSet<&'static str>,
}

impl Pair {
    pub(super) fn new(tap: Tap, capacity: u32) -> Self {
        Self {
            line: Line::new(capacity),
            model: Model::new(tap.clone(), capacity as usize),
            tap,
            keys: Vec::new(),
            now: 0,
            arrivals: 0,
            changes: 0,
            outs: Vec::new(),
            met: BTreeSet::new(),
        }
    }

    fn moment(&self) -> Moment {
        Moment::from_nanos(self.now)
    }

    fn meet(&mut self, what: &'static str) {
        self.met.insert(what);
    }

    fn meet_if(&mut self, is_met: bool, what: &'static str) {
        if is_met {
            self.meet(what);
        }
    }

    fn out(&mut self, units: u32) {
        self.outs.push(Out {
            at: self.now,
            units,
            changes: self.changes,
        });
    }

    fn any(&self, index: usize) -> Option<(u64, Key, Who)> {
        let index = index.checked_rem(self.keys.len())?;
        Some(self.keys[index].clone())
    }

    fn called(&self) -> Option<usize> {
        let (called, _) = self.model.called?;
        self.keys.iter().position(|(id, ..)| *id == called)
    }

    pub(super) fn act(&mut self, act: &Act) {
        match act {
            Act::Arrive(newcomer) => self.arrive(newcomer),
            Act::Admit(units) => self.admit(*units),
            Act::Poll(index) => self.poll(*index),
            Act::Come => self.called().into_iter().for_each(|index| self.poll(index)),
            Act::Leave(index) => self.leave(*index),
            Act::LeaveCalled => {
                if let Some(called) = self.called() {
                    self.meet("left between its call and its poll");
                    self.leave(called);
                }
            }
            Act::Shorten(index, wait) => self.shorten(*index, *wait),
            Act::SetAble(index, able) => {
                if let Some((id, _, who)) = self.any(*index) {
                    who.able.set(*able);
                    self.model.set_able(id, *able);
                }
            }
            Act::Wait(wait) => self.now += wait * MILLI / 2,
            Act::WaitForFirst => self.wait_for_first(),
            Act::Step(times) => (0..*times).for_each(|_| _ = self.step()),
            Act::ChangeRate(interval, burst) => self.change_rate(*interval, *burst),
            Act::PutBack(units) => {
                for tap in [&self.tap, &self.model.tap] {
                    tap.put_back(*units);
                }
                self.changes += 1;
            }
            Act::Close => self.close(),
        }
    }

    fn call(&self, newcomer: &Newcomer) -> Call {
        let after = |wait| Moment::from_nanos(self.now + wait * MILLI);
        let deadline = newcomer.deadline.map(after);
        let longest = after(newcomer.longest_wait);
        Call {
            units: newcomer.units,
            joined: self.moment(),
            limit: deadline.map_or(longest, |deadline| deadline.min(longest)),
            deadline,
        }
    }

    fn arrive(&mut self, newcomer: &Newcomer) {
        let call = self.call(newcomer);
        // As its future does.
        if call
            .deadline
            .is_some_and(|deadline| deadline <= call.joined)
        {
            return;
        }
        let who = Who::new(self.arrivals);
        self.arrivals += 1;
        let had_passed_over = self.keys.len() as u64 > u64::from(self.in_turn());
        let arrival = self
            .line
            .arrive(call, newcomer.reserves, &self.tap, || who.clone());
        let expected = self.model.arrive(who.id, call, newcomer.reserves);
        let says = match arrival {
            Arrival::Admitted(_) => {
                self.out(newcomer.units);
                self.meet_if(had_passed_over, "went before one that was passed over");
                Says::Admitted
            }
            Arrival::Refused(fate) => {
                assert_eq!(Rc::strong_count(&who.fate), 1);
                self.meet_refusal(fate);
                Says::Over(fate)
            }
            Arrival::Waits {
                key,
                turn,
                turned_out,
                ..
            } => {
                self.keys.push((who.id, key, who));
                self.meet_if(newcomer.reserves, "reserved");
                Says::Waits(turn, turned_out.map(|out| self.made_room(out)))
            }
        };
        assert_eq!(says, expected);
    }

    fn made_room(&mut self, (who, fate): (Who, Fate)) -> (u64, Fate) {
        self.meet("one whose wait was over made room");
        self.gone(who.id);
        (who.id, fate)
    }

    fn meet_refusal(&mut self, fate: Fate) {
        self.meet(match fate {
            Fate::Full { .. } => "refused: full",
            Fate::Expired { .. } => "refused: its turn comes too late",
            Fate::PastDeadline => "refused: its turn comes after its deadline",
            Fate::NeverFits => "refused: too many units",
            Fate::Closed => "refused: closed",
        });
    }

    fn meet_end(&mut self, fate: Fate) {
        self.meet(match fate {
            Fate::PastDeadline => "over by its deadline",
            Fate::NeverFits => "over as it never fits",
            _ => "over by the longest wait",
        });
    }

    fn admit(&mut self, units: u32) {
        let now = self.moment();
        let expected = self.model.admit(units, now);
        let says = if self.line.is_empty() && self.tap.fits(units) {
            match self.tap.take(units, now) {
                Ok(_) => Says::Admitted,
                Err(at) => Says::Over(Fate::Expired { turn: Some(at) }),
            }
        } else {
            match self.line.admit(units, now, &self.tap) {
                Ok(_) => Says::Admitted,
                Err(fate) => Says::Over(fate),
            }
        };
        if says == Says::Admitted {
            self.out(units);
        } else if self.tap.ready(units, now) <= now {
            self.meet("did not overtake");
        }
        assert_eq!(says, expected);
    }

    fn poll(&mut self, index: usize) {
        let Some((id, key, who)) = self.any(index) else {
            return;
        };
        let (now, patience) = (self.moment(), self.model.patience);
        let was_passed_over = self.model.in_turn().all(|known| known.id != id);
        let was_called = self.model.called.is_some_and(|(called, _)| called == id);
        let others_called = self.model.called.is_some() && !was_called;
        let first_before = self.model.first();
        let expected = self.model.poll(id, now);
        let says = match self.line.poll(key, now, &self.tap) {
            Turn::Admitted(units) => {
                self.out(units);
                let early = self.model.in_turn().all(|other| other.id > id);
                assert!(early, "somebody waits who came before {id}");
                self.meet_if(was_called, "came when called");
                self.meet_if(!was_called, "came uncalled");
                self.meet_if(was_passed_over, "took its units after it was passed over");
                Says::Admitted
            }
            Turn::Waits => {
                self.meet_if(was_called, "called too soon");
                let moved_up = self.model.first() != first_before && !was_passed_over;
                self.meet_if(moved_up, "passed over by one that waits");
                Says::StillWaits
            }
            Turn::Over(fate) => {
                self.meet_end(fate);
                Says::Over(fate)
            }
            Turn::Gone => panic!("{id} was turned out, and is not known to be"),
        };
        let instead = was_passed_over && others_called;
        self.meet_if(instead, "came back before one that was called");
        self.meet_if(self.model.patience > patience, "more patient");
        assert_eq!(says, expected);
        if says != Says::StillWaits {
            assert_eq!(who.fate.get(), None);
            self.gone(id);
        }
    }

    fn leave(&mut self, index: usize) {
        if let Some((id, key, _)) = self.any(index) {
            assert_eq!(self.line.leave(key), self.model.leave(id));
            assert!(self.line.poll(key, self.moment(), &self.tap) == Turn::Gone);
            self.gone(id);
        }
    }

    fn shorten(&mut self, index: usize, wait: u64) {
        if let Some((id, key, _)) = self.any(index) {
            let deadline = Moment::from_nanos(self.now + wait * MILLI);
            self.line.shorten(key, deadline);
            self.model.shorten(id, deadline);
        }
    }

    fn wait_for_first(&mut self) {
        if let Some(first) = self.model.in_turn().next() {
            let ready = self.tap.ready(first.call.units, self.moment());
            self.now = self.now.max(ready.nanos());
        }
    }

    /// Does one step, and tells whether there may be another.
    fn step(&mut self) -> bool {
        let now = self.moment();
        let in_turn = self.in_turn();
        let expected = self.model.step(now);
        let step = match self.line.step(now, &self.tap) {
            Step::Call(who) => {
                self.meet("called");
                Todo::Call(who.id)
            }
            Step::TurnOut(who, fate) => {
                assert_eq!(who.fate.get(), Some(fate));
                self.meet("turned out");
                self.meet_if(fate == Fate::NeverFits, "turned out: fits no more");
                self.gone(who.id);
                Todo::TurnOut(who.id, fate)
            }
            Step::Watch(watchers) => {
                let watchers = watchers.map(|watcher| watcher.map(|(who, due)| (who.id, due)));
                self.meet_if(watchers.iter().flatten().count() == 3, "watched by two");
                Todo::Watch(watchers)
            }
        };
        let is_out = matches!(step, Todo::TurnOut(..));
        self.meet_if(self.in_turn() < in_turn && !is_out, "passed over");
        assert_eq!(step, expected);
        !matches!(step, Todo::Watch(_))
    }

    pub(super) fn step_all(&mut self) {
        while self.step() {}
    }

    fn change_rate(&mut self, interval: u64, burst: u32) {
        for tap in [&self.tap, &self.model.tap] {
            tap.change(interval, burst, self.now);
        }
        self.changes += 1;
    }

    fn close(&mut self) {
        self.meet_if(!self.keys.is_empty(), "closed with some waiting");
        assert_eq!(self.line.close(), !self.model.closed);
        self.model.closed = true;
        while let Some(who) = self.line.dismiss() {
            assert_eq!(self.model.dismiss(), Some(who.id));
            assert_eq!(who.fate.get(), Some(Fate::Closed));
            self.gone(who.id);
        }
        assert_eq!(self.model.dismiss(), None);
    }

    fn gone(&mut self, id: u64) {
        let (_, key, who) = self
            .keys
            .remove(self.keys.iter().position(|known| known.0 == id).unwrap());
        assert_eq!(self.line.poll(key, self.moment(), &self.tap), Turn::Gone);
        // Nobody keeps it: the line has let go of it. (One is here, one may be with whoever turned it out.)
        assert!(Rc::strong_count(&who.fate) <= 2, "the line still has {id}");
    }

    fn in_turn(&self) -> u32 {
        self.model.in_turn().count() as u32
    }

    pub(super) fn compare(&self) {
        assert_eq!(self.line.waiting() as usize, self.model.calls.len());
        assert_eq!(self.line.waiting() as usize, self.keys.len());
        let is_empty = self.model.first().is_none() && !self.model.closed;
        assert_eq!(self.line.is_empty(), is_empty);
        assert_eq!(self.line.is_closed(), self.model.closed);
    }
}
