use std::mem;
use std::sync::{Arc, Mutex};

use buttress_core::Verdict;

/// What happened to calls, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<Vec<Event>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An instance of the inner service was polled for readiness; the first is 0.
    Polled(usize),
    /// It was called, with a request that carried so many marks.
    Called(usize, u32),
    /// It was dropped.
    Dropped(usize),
    /// A permit was settled, or dropped.
    Ended(Option<Verdict>),
    /// A wait was dropped before its turn was told.
    Left,
}

impl Journal {
    pub(super) fn note(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    /// Everything since the last time.
    pub(super) fn take(&self) -> Vec<Event> {
        mem::take(&mut *self.0.lock().unwrap())
    }
}
