//! What the promises say, in the plainest way: one list of calls in the order of their arrival.

use super::super::{Call, Fate};
use super::{MILLI, Tap};
use buttress_timer::Moment;

use super::super::Supply;

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: u64,
    pub(super) call: Call,
    /// When it was called and did not come.
    pub(super) let_pass: Option<u64>,
    pub(super) able: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Admitted,
    Waits(Option<Moment>, Option<(u64, Fate)>),
    StillWaits,
    Over(Fate),
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    Call(u64),
    TurnOut(u64, Fate),
    Watch([Option<(u64, Moment)>; 3]),
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) calls: Vec<Known>,
    pub(super) tap: Tap,
    pub(super) capacity: usize,
    pub(super) closed: bool,
    /// Who was called and has not come yet, and when.
    pub(super) called: Option<(u64, u64)>,
    pub(super) patience: u64,
}

impl Model {
    pub(super) fn new(tap: Tap, capacity: usize) -> Self {
        Self {
            calls: Vec::new(),
            tap,
            capacity,
            closed: false,
            called: None,
            patience: 10 * MILLI,
        }
    }

    pub(super) fn in_turn(&self) -> impl Iterator<Item = &Known> {
        self.calls.iter().filter(|known| known.let_pass.is_none())
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.in_turn().next().map(|known| known.id)
    }

    fn find(&self, id: u64) -> Option<&Known> {
        self.calls.iter().find(|known| known.id == id)
    }

    fn find_mut(&mut self, id: u64) -> Option<&mut Known> {
        self.calls.iter_mut().find(|known| known.id == id)
    }

    fn remove(&mut self, id: u64) {
        self.calls.retain(|known| known.id != id);
        self.called.take_if(|called| called.0 == id);
    }

    fn units_in_turn(&self) -> u64 {
        self.in_turn()
            .map(|known| u64::from(known.call.units))
            .sum()
    }

    fn pass_over(&mut self, now: u64) {
        if let Some((id, at)) = self.called
            && at + self.patience <= now
        {
            self.called = None;
            self.find_mut(id).unwrap().let_pass = Some(at);
        }
    }

    /// Why a call can get nothing here.
    fn in_vain(&self, units: u32) -> Option<Fate> {
        if self.closed {
            Some(Fate::Closed)
        } else if units > self.tap.burst() {
            Some(Fate::NeverFits)
        } else {
            None
        }
    }

    fn fate(call: Call, turn: Option<Moment>) -> Fate {
        match call.deadline {
            Some(deadline) if deadline == call.limit => Fate::PastDeadline,
            _ => Fate::Expired { turn },
        }
    }

    /// What one that has to go is told: when it would get its units if it came back now.
    fn turn_again(&self, call: Call, now: Moment) -> Option<Moment> {
        let units = self.units_in_turn().max(call.units.into());
        self.tap.turn(units, now)
    }

    fn newcomers_turn(&self, units: u32, now: Moment) -> Option<Moment> {
        match self.units_in_turn() {
            0 => Some(self.tap.ready(units, now)),
            before => self.tap.turn(before + u64::from(units), now),
        }
    }

    pub(super) fn admit(&self, units: u32, now: Moment) -> Says {
        if let Some(fate) = self.in_vain(units) {
            return Says::Over(fate);
        }
        if self.first().is_none() || units == 0 {
            return match self.tap.take(units, now) {
                Ok(_) => Says::Admitted,
                Err(at) => Says::Over(Fate::Expired { turn: Some(at) }),
            };
        }
        let turn = self.newcomers_turn(units, now);
        Says::Over(Fate::Expired { turn })
    }

    pub(super) fn arrive(&mut self, id: u64, call: Call, reserves: bool) -> Says {
        let now = call.joined;
        if let Some(fate) = self.in_vain(call.units) {
            return Says::Over(fate);
        }
        self.pass_over(now.nanos());
        let may_take = !reserves && (self.first().is_none() || call.units == 0);
        if may_take && self.tap.take(call.units, now).is_ok() {
            return Says::Admitted;
        }
        let turn = self.newcomers_turn(call.units, now);
        let in_time = match turn {
            Some(turn) => turn <= call.limit && call.deadline.is_none_or(|at| turn < at),
            None => now < call.limit,
        };
        if !in_time {
            return Says::Over(Self::fate(call, turn));
        }
        let mut made_room = None;
        if self.calls.len() >= self.capacity {
            let passed_over = self.calls.iter().find(|known| known.let_pass.is_some());
            let firsts = [passed_over, self.in_turn().next()];
            let over = firsts
                .into_iter()
                .flatten()
                .find(|known| known.call.limit <= now);
            let Some(Known { id, call, .. }) = over.cloned() else {
                return Says::Over(Fate::Full { turn });
            };
            made_room = Some((id, Self::fate(call, self.turn_again(call, now))));
            self.remove(id);
        }
        let (let_pass, able) = (None, true);
        self.calls.push(Known {
            id,
            call,
            let_pass,
            able,
        });
        Says::Waits(turn, made_room)
    }

    pub(super) fn poll(&mut self, id: u64, now: Moment) -> Says {
        let Some(known) = self.find(id).cloned() else {
            return Says::Gone;
        };
        let call = known.call;
        if let Some(at) = known.let_pass {
            self.be_more_patient(now.nanos() - at);
            self.find_mut(id).unwrap().let_pass = None;
            if self.first() == Some(id) {
                self.called = None;
            }
        }
        let is_first = self.first() == Some(id);
        if !is_first {
            self.pass_over(now.nanos());
        }
        let is_first = self.first() == Some(id);
        let says = self.answer(call, is_first, now);
        if says == Says::Admitted {
            if self.called.is_some() {
                self.patience = (self.patience - self.patience / 32).max(10 * MILLI);
            }
        } else if is_first && !matches!(says, Says::Over(_)) {
            self.called = None;
        }
        if says != Says::StillWaits {
            self.remove(id);
        }
        says
    }

    fn answer(&self, call: Call, is_first: bool, now: Moment) -> Says {
        if call.deadline.is_some_and(|at| at <= now) {
            return Says::Over(Fate::PastDeadline);
        }
        if let Some(fate) = self.in_vain(call.units) {
            return Says::Over(fate);
        }
        let mut too_late = call.limit <= now;
        if is_first {
            match self.tap.take(call.units, now) {
                Ok(_) => return Says::Admitted,
                Err(at) => too_late |= self.is_too_late(call, at),
            }
        }
        if too_late {
            let turn = self.turn_again(call, now);
            return Says::Over(Self::fate(call, turn));
        }
        Says::StillWaits
    }

    fn is_too_late(&self, call: Call, at: Moment) -> bool {
        at > call.limit || call.deadline.is_some_and(|deadline| at >= deadline)
    }

    fn be_more_patient(&mut self, late: u64) {
        if late <= 1_000 * MILLI {
            let grown = (2 * self.patience).min(2 * late).min(1_000 * MILLI);
            self.patience = self.patience.max(grown);
        }
    }

    pub(super) fn step(&mut self, now: Moment) -> Todo {
        self.pass_over(now.nanos());
        let Some(first) = self.in_turn().next().cloned() else {
            return Todo::Watch([None; 3]);
        };
        let (id, call) = (first.id, first.call);
        if let Some((_, at)) = self.called {
            return Todo::Watch(self.watch(None, at + self.patience));
        }
        let at = self.tap.ready(call.units, now);
        let mut fate = self.in_vain(call.units);
        if at > now && (call.limit <= now || self.is_too_late(call, at)) {
            fate = fate.or(Some(Self::fate(call, self.turn_again(call, now))));
        }
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            fate = Some(Fate::PastDeadline);
        }
        if let Some(fate) = fate {
            self.remove(id);
            return Todo::TurnOut(id, fate);
        }
        if at <= now {
            self.called = Some((id, now.nanos()));
            return Todo::Call(id);
        }
        let due = at.nanos() + if first.able { self.patience } else { 0 };
        Todo::Watch(self.watch(Some((id, at)), due))
    }

    fn watch(&self, first: Option<(u64, Moment)>, due: u64) -> [Option<(u64, Moment)>; 3] {
        let due = Moment::from_nanos(due);
        let others: Vec<_> = self.in_turn().skip(1).collect();
        let second = others.iter().take(16).find(|known| known.able);
        let second = second.map(|known| (known.id, due));
        let newest = others.last().filter(|known| known.able);
        let newest = newest.map(|known| (known.id, due));
        [
            first,
            second,
            newest.filter(|newest| Some(*newest) != second),
        ]
    }

    pub(super) fn leave(&mut self, id: u64) -> bool {
        self.remove(id);
        self.first().is_some()
    }

    pub(super) fn shorten(&mut self, id: u64, deadline: Moment) {
        if let Some(Known { call, .. }) = self.find_mut(id) {
            call.deadline = call.deadline.into_iter().chain([deadline]).min();
            call.limit = call.limit.min(deadline);
        }
    }

    pub(super) fn set_able(&mut self, id: u64, able: bool) {
        if let Some(known) = self.find_mut(id) {
            known.able = able;
        }
    }

    pub(super) fn dismiss(&mut self) -> Option<u64> {
        let first = self
            .first()
            .or_else(|| self.calls.first().map(|known| known.id))?;
        self.remove(first);
        Some(first)
    }
}
