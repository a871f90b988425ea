//! What the bulkhead's queue promises, written as plainly as it can be: one list of the calls in the queue, in the order in which
//! they came, and a look at all of it each time. Shares no code with the machine. Time is in milliseconds; classes are numbers,
//! the lowest is 0.

pub(super) const CLASSES: usize = 5;
pub(super) const TOP: usize = CLASSES - 1;

/// In nanoseconds.
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

#[derive(Clone, Debug)]
pub(super) struct ModelTerms {
    pub(super) limit: usize,
    /// Slots that only the top class may take.
    pub(super) reserved: usize,
    pub(super) capacity: usize,
    pub(super) caps: [usize; CLASSES],
    /// What each class is guaranteed of the grants.
    pub(super) percents: [i64; CLASSES],
    pub(super) patience: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Waits,
    PassedOver,
    /// When, and as the how manyeth grant of all.
    Granted {
        since: u64,
        number: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Displaced,
    Expired,
    PastDeadline,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its class holds as many places as it may.
    ClassFull,
    Full,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Granted { id: u64, since: u64 },
    TurnedOut { id: u64, ending: Ending },
    Revoked { id: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Admitted { waited: u64 },
    Waits { until: u64 },
    Served,
    Over(Ending),
    Gone,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) class: usize,
    pub(super) joined: u64,
    pub(super) limit: u64,
    pub(super) deadline: Option<u64>,
    pub(super) place: Place,
    /// When the grant came that it let pass.
    pub(super) let_pass: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) granted: u64,
    pub(super) displaced: u64,
    pub(super) expired: u64,
    pub(super) revoked: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) terms: ModelTerms,
    pub(super) closed: bool,
    /// Everybody in the queue, the first to come first.
    pub(super) queue: Vec<Waiting>,
    /// The class of each call inside.
    pub(super) inside: Vec<usize>,
    pub(super) counts: [Count; CLASSES],
    /// How long a grant waits at present, in nanoseconds.
    pub(super) patience: u64,
    /// What each class has earned of a grant, in percent.
    earned: [i64; CLASSES],
    grants: u64,
    /// Whether the last grant went to a class because it was owed, past a higher one.
    pub(super) by_share: bool,
    /// How many classes were owed the last grant.
    pub(super) owed: usize,
}

impl Waiting {
    fn is_granted(&self) -> bool {
        matches!(self.place, Place::Granted { .. })
    }

    fn ending_at_limit(&self) -> Ending {
        if self.deadline.is_some_and(|deadline| deadline <= self.limit) {
            Ending::PastDeadline
        } else {
            Ending::Expired
        }
    }
}

impl Model {
    pub(super) fn new(terms: ModelTerms) -> Self {
        Self {
            patience: terms.patience * MILLISECOND,
            terms,
            closed: false,
            queue: Vec::new(),
            inside: Vec::new(),
            counts: [Count::default(); CLASSES],
            earned: [0; CLASSES],
            grants: 0,
            by_share: false,
            owed: 0,
        }
    }

    // === Slots ===

    /// The class of each call that holds a slot: those inside, and those who have a grant.
    fn holders(&self) -> Vec<usize> {
        let granted = self.queue.iter().filter(|call| call.is_granted());
        let granted = granted.map(|call| call.class);
        self.inside.iter().copied().chain(granted).collect()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.holders().len()
    }

    /// Whether a slot is free that a call of this class may have.
    pub(super) fn has_room(&self, class: usize) -> bool {
        let holders = self.holders();
        let below_top = holders.iter().filter(|class| **class < TOP).count();
        let kept = self.terms.limit.saturating_sub(self.terms.reserved);
        !self.closed && holders.len() < self.terms.limit && (class == TOP || below_top < kept)
    }

    pub(super) fn somebody_waits(&self, lowest: usize) -> bool {
        (lowest..CLASSES).any(|class| self.first_that_waits(class).is_some())
    }

    pub(super) fn take(&mut self, class: usize) -> bool {
        let taken = self.has_room(class) && !self.somebody_waits(0);
        self.inside.extend(taken.then_some(class));
        taken
    }

    pub(super) fn take_before_lower(&mut self, class: usize) -> bool {
        let taken = self.has_room(class) && !self.somebody_waits(class);
        self.inside.extend(taken.then_some(class));
        taken
    }

    // === Queue ===

    pub(super) fn find(&self, id: u64) -> Option<&Waiting> {
        self.queue.iter().find(|call| call.id == id)
    }

    fn first_that_waits(&self, class: usize) -> Option<&Waiting> {
        let mut waiting = self.queue.iter().filter(|call| call.place == Place::Waits);
        waiting.find(|call| call.class == class)
    }

    /// How many of a class are in the queue without a grant.
    pub(super) fn queued(&self, class: usize) -> usize {
        let of_class = self.queue.iter().filter(|call| call.class == class);
        of_class.filter(|call| !call.is_granted()).count()
    }

    fn remove(&mut self, id: u64) -> Option<Waiting> {
        let index = self.queue.iter().position(|call| call.id == id)?;
        let call = self.queue.remove(index);
        self.forget();
        Some(call)
    }

    /// Who does not wait is owed nothing.
    fn forget(&mut self) {
        for class in 0..CLASSES {
            if self.first_that_waits(class).is_none() {
                self.earned[class] = 0;
            }
        }
    }

    fn turn_out(&mut self, id: u64, ending: Ending) -> Told {
        let call = self.remove(id).unwrap();
        let count = &mut self.counts[call.class];
        match ending {
            Ending::Displaced => count.displaced += 1,
            Ending::Expired | Ending::PastDeadline => count.expired += 1,
            Ending::Closed => {}
        }
        Told::TurnedOut { id, ending }
    }

    /// Gives a newcomer the last place, and says who was turned out for it.
    pub(super) fn join(&mut self, mut call: Waiting) -> Result<Option<Told>, Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        let of_class = self.queue.iter().filter(|other| other.class == call.class);
        if of_class.count() >= self.terms.caps[call.class] {
            let over = self.over_in_class(call.class, call.joined);
            let (id, ending) = over.ok_or(Refusal::ClassFull)?;
            let turned_out = self.turn_out(id, ending);
            call.place = Place::Waits;
            self.queue.push(call);
            return Ok(Some(turned_out));
        }
        let mut turned_out = None;
        if self.queue.len() >= self.terms.capacity {
            let (id, ending) = self.who_makes_room(&call).ok_or(Refusal::Full)?;
            turned_out = Some(self.turn_out(id, ending));
        }
        call.place = Place::Waits;
        self.queue.push(call);
        Ok(turned_out)
    }

    fn who_makes_room(&self, newcomer: &Waiting) -> Option<(u64, Ending)> {
        let mut over = (0..CLASSES).filter_map(|class| self.over_in_class(class, newcomer.joined));
        if let Some(over) = over.next() {
            return Some(over);
        }
        let newest = self.newest_of_the_lowest()?;
        (newest.class < newcomer.class).then_some((newest.id, Ending::Displaced))
    }

    /// The first to come of those passed over, or of those that wait, when its wait is over.
    fn over_in_class(&self, class: usize, now: u64) -> Option<(u64, Ending)> {
        let oldest = |place| {
            let in_row = |call: &&Waiting| call.place == place && call.class == class;
            let oldest = self.queue.iter().find(in_row)?;
            (oldest.limit <= now).then(|| (oldest.id, oldest.ending_at_limit()))
        };
        oldest(Place::PassedOver).or_else(|| oldest(Place::Waits))
    }

    fn newest_of_the_lowest(&self) -> Option<&Waiting> {
        let without_grant = self.queue.iter().filter(|call| !call.is_granted());
        // The last to come is the first of the reversed list.
        without_grant.rev().min_by_key(|call| call.class)
    }

    /// Does one thing that is to be done.
    pub(super) fn serve(&mut self, now: u64) -> Option<Told> {
        if let Some(id) = self.overdue_grant(now) {
            return Some(self.revoke(id));
        }
        if let Some(told) = self.displace() {
            return Some(told);
        }
        let class = self.turn()?;
        let call = *self.first_that_waits(class)?;
        if call.limit <= now {
            return Some(self.turn_out(call.id, call.ending_at_limit()));
        }
        Some(self.grant(call, now))
    }

    pub(super) fn overdue_grant(&self, now: u64) -> Option<u64> {
        let mut granted: Vec<_> = self.queue.iter().filter_map(grant_number).collect();
        granted.sort_unstable();
        let mut overdue = granted.iter().map(|(_, id)| self.find(*id).unwrap());
        let overdue = overdue.find(|call| {
            matches!(call.place, Place::Granted { since, .. }
                if since * MILLISECOND + self.patience <= now * MILLISECOND)
        });
        overdue.map(|call| call.id)
    }

    fn revoke(&mut self, id: u64) -> Told {
        let call = self.queue.iter_mut().find(|call| call.id == id).unwrap();
        if let Place::Granted { since, .. } = call.place {
            call.let_pass = since;
        }
        call.place = Place::PassedOver;
        self.counts[call.class].revoked += 1;
        Told::Revoked { id }
    }

    /// The class whose turn it is, if somebody may be let in.
    pub(super) fn turn(&self) -> Option<usize> {
        if !self.has_room(0) {
            let top = self.has_room(TOP).then(|| self.first_that_waits(TOP))?;
            return top.map(|call| call.class);
        }
        let owed = self.owed_classes();
        let mut due = owed.first().copied();
        for class in owed {
            due = due
                .filter(|other| !self.is_due_before(class, *other))
                .or(Some(class));
        }
        due.or_else(|| self.highest_that_waits())
    }

    fn highest_that_waits(&self) -> Option<usize> {
        let mut classes = (0..CLASSES).rev();
        classes.find(|class| self.first_that_waits(*class).is_some())
    }

    /// The classes that have earned the next grant, the highest first.
    fn owed_classes(&self) -> Vec<usize> {
        let is_owed = |class: &usize| self.earned[*class] + self.terms.percents[*class] >= 100;
        let waiting = (0..CLASSES)
            .rev()
            .filter(|class| self.first_that_waits(*class).is_some());
        waiting.filter(is_owed).collect()
    }

    /// Whether `one` has fewer grants left than `other` before it would have earned two.
    fn is_due_before(&self, one: usize, other: usize) -> bool {
        let (percents, left) = (self.terms.percents, |class: usize| 200 - self.earned[class]);
        left(one) * percents[other] < left(other) * percents[one]
    }

    fn grant(&mut self, call: Waiting, now: u64) -> Told {
        self.by_share = self.has_room(0) && self.highest_that_waits() != Some(call.class);
        self.owed = 0;
        if self.has_room(0) {
            self.owed = self.owed_classes().len();
            for class in 0..CLASSES {
                if self.first_that_waits(class).is_some() {
                    self.earned[class] += self.terms.percents[class];
                }
            }
        }
        self.earned[call.class] = (self.earned[call.class] - 100).max(0);
        self.grants += 1;
        let number = self.grants;
        let granted = self.queue.iter_mut().find(|other| other.id == call.id);
        granted.unwrap().place = Place::Granted { since: now, number };
        self.forget();
        Told::Granted {
            id: call.id,
            since: now,
        }
    }

    pub(super) fn poll(&mut self, id: u64, now: u64) -> Answer {
        let Some(call) = self.find(id).copied() else {
            return Answer::Gone;
        };
        match call.place {
            Place::Granted { .. } if call.deadline.is_some_and(|deadline| deadline <= now) => {
                self.turn_out(id, Ending::PastDeadline);
                Answer::Over(Ending::PastDeadline)
            }
            Place::Granted { since, .. } => {
                self.remove(id);
                let less = self.patience - self.patience / 32;
                self.patience = less.max(self.terms.patience * MILLISECOND);
                self.inside.push(call.class);
                self.counts[call.class].granted += 1;
                Answer::Admitted {
                    waited: since - call.joined,
                }
            }
            _ if call.limit <= now => {
                self.turn_out(id, call.ending_at_limit());
                Answer::Over(call.ending_at_limit())
            }
            Place::PassedOver => {
                self.grow_patience((now - call.let_pass) * MILLISECOND);
                let call = self.queue.iter_mut().find(|call| call.id == id).unwrap();
                call.place = Place::Waits;
                Answer::Served
            }
            Place::Waits if self.overdue_grant(now).is_some() => Answer::Served,
            Place::Waits => Answer::Waits { until: call.limit },
        }
    }

    /// Doubles the patience, to no more than twice what would have been enough, nor to more than a second.
    fn grow_patience(&mut self, late: u64) {
        if late > SECOND {
            return;
        }
        let grown = (2 * self.patience).min(2 * late).min(SECOND);
        self.patience = self.patience.max(grown);
    }

    /// Lets a call leave, and says whether it had a grant.
    pub(super) fn leave(&mut self, id: u64) -> bool {
        self.remove(id).is_some_and(|call| call.is_granted())
    }

    /// Turns out one call more than the queue may hold.
    fn displace(&mut self) -> Option<Told> {
        if self.queue.len() <= self.terms.capacity {
            return None;
        }
        let id = self.newest_of_the_lowest()?.id;
        Some(self.turn_out(id, Ending::Displaced))
    }

    pub(super) fn dismiss(&mut self, id: u64) -> Told {
        assert!(self.closed, "dismissed from an open bulkhead");
        self.turn_out(id, Ending::Closed)
    }
}

fn grant_number(call: &Waiting) -> Option<(u64, u64)> {
    match call.place {
        Place::Granted { number, .. } => Some((number, call.id)),
        _ => None,
    }
}
