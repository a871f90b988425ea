//! The machine and the naive model side by side, and what a history has met.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use buttress_core::Priority;
use tokio::time::Instant;

use super::super::{
    Arrival, Call, Claim, Fate, Key, NoPlace, Notice, PerClass, Slots, State, Terms, Turn,
};
use super::Who;
use super::model::{Answer, CLASSES, Ending, Model, ModelTerms, Place, Refusal, Told, Waiting};

mod changes;
mod seen;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A call that comes as all do: it waits only if it must.
    Arrive(Newcomer),
    /// A call that joins the queue though a slot may have become free meanwhile.
    Join(Newcomer),
    /// Calls of all classes wait, and so often one leaves, and another of the class that had its turn joins the queue.
    TakeTurns(Newcomer, usize),
    Poll(usize),
    /// Everybody who has a grant takes it up.
    PollGranted,
    GiveBack(usize),
    Leave(usize),
    Wait(u64),
    Serve(usize),
    Resize(usize),
    ResizeQueue(usize),
    Close,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Newcomer {
    pub(super) class: usize,
    pub(super) longest_wait: u64,
    pub(super) deadline: Option<u64>,
}

pub(super) struct Pair {
    model: Model,
    state: State<Who>,
    start: Instant,
    now: u64,
    arrivals: u64,
    /// Who came to the queue and has not been told yet that its wait is over.
    calls: Vec<(Key, Who)>,
    /// Those who have been told.
    gone: VecDeque<(Key, Who)>,
    /// What each call inside holds, in the order of the model's list.
    claims: Vec<Claim>,
    /// Whether the machine has asked to be served, and still has something to do.
    asked: bool,
    pub(super) met: BTreeSet<&'static str>,
}

impl Pair {
    pub(super) fn new(terms: ModelTerms) -> Self {
        let slots = Slots::new(narrow(terms.limit), narrow(terms.reserved));
        let per_class =
            |values: &[usize]| PerClass::from_fn(|class| narrow(values[class as usize]));
        let percents = terms
            .percents
            .map(|percent| usize::try_from(percent).unwrap());
        let machine_terms = Terms {
            capacity: narrow(terms.capacity),
            caps: per_class(&terms.caps),
            shares: per_class(&percents),
            patience: Duration::from_millis(terms.patience),
        };
        Self {
            model: Model::new(terms),
            state: State::new(slots, machine_terms),
            start: Instant::now(),
            now: 0,
            arrivals: 0,
            calls: Vec::new(),
            gone: VecDeque::new(),
            claims: Vec::new(),
            asked: false,
            met: BTreeSet::new(),
        }
    }

    fn at(&self, time: u64) -> Instant {
        self.start + Duration::from_millis(time)
    }

    fn meet(&mut self, what: &'static str, is_so: bool) {
        if is_so {
            self.met.insert(what);
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Arrive(newcomer) => self.arrive(newcomer),
            Step::Join(newcomer) => self.join(newcomer),
            Step::TakeTurns(newcomer, times) => self.take_turns(newcomer, times),
            Step::Poll(which) if !self.calls.is_empty() => self.poll(which % self.calls.len()),
            Step::PollGranted => self.poll_granted(),
            Step::GiveBack(which) if !self.claims.is_empty() => {
                self.give_back(which % self.claims.len());
            }
            Step::Leave(which) if !self.calls.is_empty() => self.leave(which % self.calls.len()),
            Step::Wait(time) => self.now += time,
            Step::Serve(most) => self.serve(most),
            Step::Resize(limit) => self.resize(limit),
            Step::ResizeQueue(capacity) => self.resize_queue(capacity),
            Step::Close => self.close(),
            Step::Poll(_) | Step::GiveBack(_) | Step::Leave(_) => {}
        }
    }

    // === Newcomers ===

    fn arrive(&mut self, newcomer: Newcomer) {
        if !self.take(newcomer.class) && !self.take_before_lower(newcomer.class) {
            self.join(newcomer);
        }
    }

    fn take_turns(&mut self, newcomer: Newcomer, times: usize) {
        let mut classes: Vec<usize> = (0..CLASSES).collect();
        for _ in 0..times {
            for class in classes {
                self.join(Newcomer { class, ..newcomer });
            }
            let granted = self.granted();
            classes = granted
                .map(|id| self.model.find(id).unwrap().class)
                .collect();
            self.poll_granted();
            if !self.claims.is_empty() {
                self.give_back(0);
            }
            self.serve_all();
        }
    }

    fn take(&mut self, class: usize) -> bool {
        let reserve_only = !self.model.has_room(0);
        let claim = self.state.claim(Priority::ALL[class]);
        let taken = self.state.slots.take(claim).is_some();
        // While the machine has something left to do it may keep newcomers out whom nobody precedes.
        if !taken && self.asked {
            return false;
        }
        assert_eq!(taken, self.model.take(class), "a newcomer of class {class}");
        self.claims.extend(taken.then_some(claim));
        self.meet("a reserved slot used", taken && reserve_only);
        let kept_out = self.model.in_flight() < self.model.terms.limit && !self.model.closed;
        let kept_out = kept_out && !self.model.has_room(class) && !taken;
        self.meet("kept out by the reserve", kept_out);
        taken
    }

    fn take_before_lower(&mut self, class: usize) -> bool {
        let somebody_waits = self.model.somebody_waits(0);
        let claim = self.state.take_before_lower(Priority::ALL[class]);
        let taken = self.model.take_before_lower(class);
        assert_eq!(claim.is_some(), taken, "before lower than {class}");
        self.claims.extend(claim);
        self.meet("went before lower ones", taken && somebody_waits);
        taken
    }

    fn join(&mut self, newcomer: Newcomer) {
        let was_settled = !self.asked;
        let waiting = Waiting {
            id: self.arrivals,
            class: newcomer.class,
            joined: self.now,
            limit: self.now
                + newcomer
                    .longest_wait
                    .min(newcomer.deadline.unwrap_or(u64::MAX)),
            deadline: newcomer.deadline.map(|deadline| self.now + deadline),
            place: Place::Waits,
            let_pass: 0,
        };
        self.arrivals += 1;
        let call = Call {
            priority: Priority::ALL[newcomer.class],
            joined: self.at(waiting.joined),
            limit: self.at(waiting.limit),
            deadline: waiting.deadline.map(|deadline| self.at(deadline)),
        };
        let who = Who::new(waiting.id);
        let arrival = self.state.join(call, who.clone());
        let expected = self.model.join(waiting);
        let serve = arrival.serve;
        self.compare_arrival(arrival, expected, who);
        self.asked |= serve;
        let overdue = self.model.overdue_grant(self.now).is_some();
        let to_be_served =
            !self.model.closed && (overdue || (was_settled && self.model.turn().is_some()));
        assert!(serve || !to_be_served, "somebody may be served");
    }

    fn compare_arrival(
        &mut self,
        arrival: Arrival<Who>,
        expected: Result<Option<Told>, Refusal>,
        who: Who,
    ) {
        match (arrival.place, expected) {
            (Ok(key), Ok(told)) => {
                self.calls.push((key, who));
                if let Some(Told::TurnedOut { ending, .. }) = told {
                    self.meet("displaced", ending == Ending::Displaced);
                    self.meet("an overdue one made room", ending != Ending::Displaced);
                }
                self.compare_notice(arrival.turned_out, told);
            }
            (Err(no_place), Err(refusal)) => {
                assert!(arrival.turned_out.is_none(), "turned out for nobody");
                assert_eq!(no_place == NoPlace::Closed, refusal == Refusal::Closed);
                self.meet("refused: class full", refusal == Refusal::ClassFull);
                self.meet("refused: queue full", refusal == Refusal::Full);
            }
            (place, expected) => panic!("the machine {place:?}, the model {expected:?}"),
        }
    }

    // === Those who wait ===

    fn poll_granted(&mut self) {
        let granted: Vec<u64> = self.granted().collect();
        for id in granted {
            let which = self.calls.iter().position(|(_, who)| who.id == id);
            self.poll(which.unwrap());
        }
    }

    fn granted(&self) -> impl Iterator<Item = u64> {
        let queue = self.model.queue.iter();
        let granted = queue.filter(|call| matches!(call.place, Place::Granted { .. }));
        granted.map(|call| call.id)
    }

    fn poll(&mut self, which: usize) {
        let (key, who) = self.calls[which].clone();
        let before = self.model.find(who.id).copied();
        let answer = self.model.poll(who.id, self.now);
        let turn = self.state.poll(key, || self.at(self.now));
        match (turn, answer) {
            (turn @ Turn::Admitted { .. }, Answer::Admitted { waited }) => {
                assert!(who.told().is_empty(), "turned out and admitted");
                self.admitted(turn, waited);
            }
            (Turn::Waits(limit), Answer::Waits { until }) => assert_eq!(limit, self.at(until)),
            (Turn::Served, Answer::Served) => {
                self.asked = true;
                self.meet_served(before.unwrap());
            }
            (Turn::Over(fate), Answer::Over(ending)) => {
                assert_eq!(fate, fate_of(ending));
                self.asked = true;
                let granted = matches!(before.unwrap().place, Place::Granted { .. });
                self.meet("expired by its poll", ending == Ending::Expired);
                self.meet("past its deadline", ending == Ending::PastDeadline);
                self.meet("past its deadline with a grant", granted);
            }
            (Turn::Gone, Answer::Gone) => {}
            (turn, answer) => panic!("the machine {turn:?}, the model {answer:?}"),
        }
        if self.model.find(who.id).is_none() {
            self.retire(which);
        }
    }

    fn meet_served(&mut self, revived: Waiting) {
        self.meet("served by one that waits", revived.place == Place::Waits);
        if revived.place == Place::Waits {
            return;
        }
        self.met.insert("revived");
        let base = Duration::from_millis(self.model.terms.patience);
        self.meet(
            "more patient",
            Duration::from_nanos(self.model.patience) > base,
        );
        let mut queue = self.model.queue.iter();
        let ahead = queue.any(|call| {
            let waits = call.place == Place::Waits && call.class == revived.class;
            waits && call.id > revived.id
        });
        self.meet("revived ahead of others", ahead);
    }

    fn admitted(&mut self, turn: Turn, waited: u64) {
        let Turn::Admitted {
            claim,
            waited: wait,
            others,
        } = turn
        else {
            panic!("{turn:?}");
        };
        assert_eq!(others, self.granted().count() > 0, "other grants");
        assert_eq!(wait, Duration::from_millis(waited), "its wait");
        self.claims.push(claim);
    }

    fn leave(&mut self, which: usize) {
        let (key, who) = self.calls[which].clone();
        let serve = self.state.leave(key);
        let held = self.model.leave(who.id);
        let watched = self.granted().next().is_some();
        assert_eq!(serve, held || watched, "whether somebody is to be served");
        self.asked |= serve;
        self.retire(which);
    }

    /// Remembers a call that is gone, for a while, so that its key is seen to be stale.
    fn retire(&mut self, which: usize) {
        self.gone.push_back(self.calls.swap_remove(which));
        if self.gone.len() > 8 {
            self.gone.pop_front();
        }
    }

    fn give_back(&mut self, which: usize) {
        let claim = self.claims.swap_remove(which);
        self.model.inside.swap_remove(which);
        let before = self.state.slots.give_back(claim);
        self.asked |= before.concerns_somebody();
    }

    // === What is to be done ===

    /// Serves until nothing is left to do.
    pub(super) fn serve_all(&mut self) {
        self.serve(usize::MAX);
        assert!(!self.asked, "there is no end to it");
    }

    fn serve(&mut self, most: usize) {
        for _ in 0..most.min(1_000) {
            let reserve_only = !self.model.has_room(0);
            let waits = |class: &usize| self.model.somebody_waits(*class);
            let highest = (0..CLASSES).rev().find(waits);
            let notice = self.state.serve(self.at(self.now));
            let told = self.model.serve(self.now);
            self.compare_notice(notice, told);
            self.asked = told.is_some();
            match told {
                Some(Told::Granted { id, .. }) => self.meet_grant(id, highest, reserve_only),
                Some(Told::Revoked { .. }) => drop(self.met.insert("revoked")),
                Some(Told::TurnedOut {
                    ending: Ending::Displaced,
                    ..
                }) => drop(self.met.insert("displaced by a shorter queue")),
                Some(Told::TurnedOut { ending, .. }) => {
                    self.meet("past its deadline", ending == Ending::PastDeadline);
                    self.met.insert("expired when its turn came");
                }
                None => return,
            }
        }
    }

    fn meet_grant(&mut self, id: u64, highest: Option<usize>, reserve_only: bool) {
        let class = self.model.find(id).unwrap().class;
        let lower = self.model.queue.iter().any(|call| {
            let waits = call.place == Place::Waits;
            waits && call.class < class && call.id < id
        });
        self.meet("granted by class", lower && highest == Some(class));
        self.meet("granted by share", self.model.by_share);
        self.meet("granted among several shares", self.model.owed > 1);
        self.meet("a reserved slot used", reserve_only);
    }

    fn compare_notice(&self, notice: Option<Notice<Who>>, told: Option<Told>) {
        match (notice, told) {
            (None, None) => {}
            (Some(Notice::Granted(who)), Some(Told::Granted { id, .. })) => {
                assert_eq!(who.id, id, "who is granted a slot");
                assert!(who.told().is_empty(), "turned out, and granted a slot");
            }
            (Some(Notice::TurnedOut(who, fate)), Some(Told::TurnedOut { id, ending })) => {
                assert_eq!((who.id, fate), (id, fate_of(ending)), "who is turned out");
                assert_eq!(who.told(), [fate], "is told once");
            }
            (Some(Notice::Revoked(priority)), Some(Told::Revoked { id })) => {
                let class = self.model.find(id).unwrap().class;
                assert_eq!(priority, Priority::ALL[class], "whose grant is revoked");
            }
            (notice, told) => panic!("the machine {notice:?}, the model {told:?}"),
        }
    }
}

fn fate_of(ending: Ending) -> Fate {
    match ending {
        Ending::Displaced => Fate::Displaced,
        Ending::Expired => Fate::Expired,
        Ending::PastDeadline => Fate::PastDeadline,
        Ending::Closed => Fate::Closed,
    }
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}
