//! What is changed from outside.

use super::super::super::Notice;
use super::super::model::Place;
use super::{Pair, narrow};

impl Pair {
    pub(super) fn resize(&mut self, limit: usize) {
        self.state.slots.resize(narrow(limit));
        self.model.terms.limit = limit;
        self.asked = true;
        let below = limit < self.model.in_flight() && !self.model.closed;
        self.meet("resized below those inside", below);
    }

    pub(super) fn resize_queue(&mut self, capacity: usize) {
        self.state.resize_queue(narrow(capacity));
        self.model.terms.capacity = capacity;
        self.asked = true;
    }

    pub(super) fn close(&mut self) {
        let granted = self.granted().next().is_some();
        let waiting = self
            .model
            .queue
            .iter()
            .any(|call| call.place == Place::Waits);
        assert_eq!(self.state.slots.close(), !self.model.closed);
        self.model.closed = true;
        while let Some(notice) = self.state.dismiss() {
            let Notice::TurnedOut(who, _) = &notice else {
                panic!("{notice:?} in a closed bulkhead");
            };
            let told = self.model.dismiss(who.id);
            self.compare_notice(Some(notice), Some(told));
        }
        assert!(self.model.queue.is_empty(), "everybody is turned out");
        self.meet("closed with some waiting", waiting);
        self.meet("closed with a grant", granted);
    }
}
