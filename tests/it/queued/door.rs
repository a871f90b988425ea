use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use buttress_core::{Name, QueueGate, Reason, Rejected, Settle, Verdict};

use super::journal::{Event, Journal};

/// A gate with slots and a queue, first come, first served. It marks the requests that it lets in.
#[derive(Clone, Debug)]
pub(super) struct Door(Arc<Shared>);

/// How a door treats those who come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    pub(super) slots: usize,
    /// Nobody finds a place in the queue.
    pub(super) refuses: bool,
    /// Nobody is let in without having been in the queue.
    pub(super) never_at_once: bool,
    /// How often a wait is pending, whoever's turn it is; each poll wakes itself.
    pub(super) hesitation: u32,
    /// What becomes of a wait after that.
    pub(super) wait: Wait,
    /// Whoever has waited comes too late.
    pub(super) too_late: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Wait {
    #[default]
    ForATurn,
    Refuses,
    Panics,
}

#[derive(Debug)]
struct Shared {
    manner: Manner,
    journal: Journal,
    places: Mutex<Places>,
}

#[derive(Debug)]
struct Places {
    free: usize,
    tickets: usize,
    queue: BTreeMap<usize, Ticket>,
}

#[derive(Debug, Default)]
struct Ticket {
    has_slot: bool,
    waker: Option<Waker>,
}

impl Door {
    pub(super) fn new(manner: Manner, journal: Journal) -> Self {
        let places = Mutex::new(Places {
            free: manner.slots,
            tickets: 0,
            queue: BTreeMap::new(),
        });
        Self(Arc::new(Shared {
            manner,
            journal,
            places,
        }))
    }

    /// Frees a slot, or adds one.
    pub(super) fn free_a_slot(&self) {
        let waker = self.0.places.lock().unwrap().hand_on();
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn free_slots(&self) -> usize {
        self.0.places.lock().unwrap().free
    }

    pub(super) fn queued(&self) -> usize {
        self.0.places.lock().unwrap().queue.len()
    }

    /// How many have been in the queue.
    pub(super) fn tickets(&self) -> usize {
        self.0.places.lock().unwrap().tickets
    }

    pub(super) fn slots_taken(&self) -> usize {
        self.0.manner.slots - self.free_slots()
    }

    fn permit(&self) -> Permit {
        let door = self.clone();
        Permit {
            door,
            settled: false,
        }
    }
}

impl Places {
    /// Gives a slot that has become free to the first who waits; the waker is to be woken outside.
    fn hand_on(&mut self) -> Option<Waker> {
        match self.queue.values_mut().find(|ticket| !ticket.has_slot) {
            None => {
                self.free += 1;
                None
            }
            Some(ticket) => {
                ticket.has_slot = true;
                ticket.waker.take()
            }
        }
    }
}

impl<P> QueueGate<u32, P> for Door {
    type Permit = Permit;
    type Wait = Waiting;

    fn try_admit(&self, _: &u32, _: &P) -> Option<Permit> {
        let mut places = self.0.places.lock().unwrap();
        if self.0.manner.never_at_once || places.free == 0 {
            return None;
        }
        places.free -= 1;
        Some(self.permit())
    }

    fn queue(&self, _: &u32, _: &P) -> Result<Waiting, Rejected> {
        if self.0.manner.refuses {
            return Err(rejected(Reason::Overloaded));
        }
        let mut places = self.0.places.lock().unwrap();
        let has_slot = places.free > 0;
        places.free -= usize::from(has_slot);
        places.tickets += 1;
        let number = places.tickets;
        let waker = None;
        places.queue.insert(number, Ticket { has_slot, waker });
        Ok(Waiting {
            door: self.clone(),
            ticket: Some(number),
            hesitation: self.0.manner.hesitation,
        })
    }

    fn resume(&self, _: &Permit, _: &u32, _: &P) -> Result<(), Rejected> {
        if self.0.manner.too_late {
            return Err(rejected(Reason::DeadlineExceeded));
        }
        Ok(())
    }

    fn mark(&self, _: &Permit, marks: &mut u32, _: &P) {
        *marks += 1;
    }
}

fn rejected(reason: Reason) -> Rejected {
    Rejected::new(reason, Name::new("door"))
}

// === Permit ===

#[derive(Debug)]
pub(super) struct Permit {
    door: Door,
    settled: bool,
}

impl Settle for Permit {
    fn settle(mut self, verdict: Verdict) {
        self.settled = true;
        self.door.0.journal.note(Event::Ended(Some(verdict)));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.door.0.journal.note(Event::Ended(None));
        }
        self.door.free_a_slot();
    }
}

// === Waiting ===

/// A place in the queue. It must not be polled once it has been told its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    door: Door,
    ticket: Option<usize>,
    hesitation: u32,
}

impl Waiting {
    /// Leaves the queue, and leaves behind what was meant for it.
    fn give_up(&mut self) {
        if self.leave() {
            self.door.free_a_slot();
        }
    }

    /// Leaves the queue; says whether a slot was meant for whoever leaves.
    fn leave(&mut self) -> bool {
        let number = self.ticket.take().expect("it waits no longer");
        let ticket = self.door.0.places.lock().unwrap().queue.remove(&number);
        ticket.expect("its ticket is in the queue").has_slot
    }
}

impl Future for Waiting {
    type Output = Result<Permit, Rejected>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(left) = self.hesitation.checked_sub(1) {
            self.hesitation = left;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.door.0.manner.wait {
            Wait::ForATurn => {}
            Wait::Refuses => {
                self.give_up();
                return Poll::Ready(Err(rejected(Reason::Overloaded)));
            }
            Wait::Panics => resume_unwind(Box::new("the wait")),
        }
        let number = self.ticket.expect("polled after its turn");
        let mut places = self.door.0.places.lock().unwrap();
        let ticket = places.queue.get_mut(&number);
        let ticket = ticket.expect("its ticket is in the queue");
        if !ticket.has_slot {
            ticket.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(places);
        self.leave();
        Poll::Ready(Ok(self.door.permit()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.door.0.journal.note(Event::Left);
            self.give_up();
        }
    }
}
