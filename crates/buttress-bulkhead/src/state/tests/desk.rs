//! A bulkhead to try single steps on.

use std::time::Duration;

use buttress_core::Priority::{self, High};
use tokio::time::Instant;

use super::super::queue::Standing;
use super::super::{Call, Claim, Fate, Key, NoPlace, Notice, PerClass, Slots, State, Terms, Turn};
use super::Who;

pub(super) const PATIENCE: u64 = 10;
pub(super) const LONG: u64 = 1_000;

/// A bulkhead and a clock in milliseconds; calls are numbered as they come.
pub(super) struct Desk {
    pub(super) state: State<Who>,
    pub(super) start: Instant,
    pub(super) now: u64,
    arrivals: u64,
}

impl Desk {
    pub(super) fn new(limit: u32, reserved: u32, capacity: u32) -> Self {
        Self::with_caps(limit, reserved, capacity, PerClass::from_fn(|_| capacity))
    }

    pub(super) fn with_caps(limit: u32, reserved: u32, capacity: u32, caps: PerClass<u32>) -> Self {
        let terms = Terms {
            capacity,
            caps,
            shares: PerClass::default(),
            patience: Duration::from_millis(PATIENCE),
        };
        Self {
            state: State::new(Slots::new(limit, reserved), terms),
            start: Instant::now(),
            now: 0,
            arrivals: 0,
        }
    }

    /// A desk without a free slot before which calls of these classes wait.
    pub(super) fn with_queue(capacity: u32, classes: &[Priority]) -> (Self, Vec<Key>) {
        let mut desk = Self::new(1, 0, capacity);
        assert!(desk.take(High).is_some());
        let keys = classes.iter().map(|class| desk.join(*class).unwrap());
        let keys = keys.collect();
        (desk, keys)
    }

    pub(super) fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    pub(super) fn take(&self, class: Priority) -> Option<Claim> {
        let claim = self.state.claim(class);
        self.state.slots.take(claim).map(|_| claim)
    }

    pub(super) fn give_back(&self, class: Priority) {
        let _ = self.state.slots.give_back(self.state.claim(class));
    }

    pub(super) fn join(&mut self, class: Priority) -> Result<Key, NoPlace> {
        self.join_for(class, LONG, false).0
    }

    /// Joins, and tells who had to make room for it.
    pub(super) fn join_for(
        &mut self,
        class: Priority,
        longest_wait: u64,
        limit_is_deadline: bool,
    ) -> (Result<Key, NoPlace>, Option<(u64, Fate)>) {
        let call = Call {
            priority: class,
            joined: self.now(),
            limit: self.now() + Duration::from_millis(longest_wait),
            deadline: limit_is_deadline.then(|| self.now() + Duration::from_millis(longest_wait)),
        };
        let arrival = self.state.join(call, Who::new(self.arrivals));
        self.arrivals += 1;
        let turned_out = arrival.turned_out.map(|notice| match notice {
            Notice::TurnedOut(who, fate) => (who.id, fate),
            notice => panic!("{notice:?}"),
        });
        (arrival.place, turned_out)
    }

    /// Serves until nothing is left to do, and tells who was granted a slot.
    pub(super) fn serve(&self) -> Vec<u64> {
        let notices = std::iter::from_fn(|| self.state.serve(self.now()));
        let granted = notices.filter_map(|notice| match notice {
            Notice::Granted(who) => Some(who.id),
            _ => None,
        });
        granted.collect()
    }

    pub(super) fn poll(&self, key: Key) -> Turn {
        self.state.poll(key, || self.now())
    }

    pub(super) fn standing(&self, key: Key) -> Standing {
        self.state.queue.lock().standing(key)
    }

    /// Whether a newcomer finds those inside, or those who wait, in its way.
    pub(super) fn is_waited_for(&self) -> bool {
        self.state.slots.occupancy().is_waited_for()
    }
}
