//! Tables of single steps, and random histories against a naive model.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests may fail a test"
)]

use std::cell::Cell;
use std::rc::Rc;

use buttress_timer::Moment;

use super::{Fate, Supply, Waiter};

mod histories;
mod model;
mod pair;
mod tables;

pub(super) const MILLI: u64 = 1_000_000;

/// Somebody in the line, known by a number.
#[derive(Clone, Debug)]
struct Who {
    id: u64,
    fate: Rc<Cell<Option<Fate>>>,
    able: Rc<Cell<bool>>,
}

impl Who {
    fn new(id: u64) -> Self {
        Self {
            id,
            fate: Rc::default(),
            able: Rc::new(Cell::new(true)),
        }
    }
}

impl Waiter for Who {
    fn turn_out(&self, fate: Fate) {
        assert_eq!(self.fate.replace(Some(fate)), None, "turned out twice");
    }

    fn can_watch(&self) -> bool {
        self.able.get()
    }
}

/// Units come out of it drop by drop, and up to `burst` of them collect in a cup below.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    interval: Cell<u64>,
    burst: Cell<u32>,
    /// When the cup was as full as it may be, or is.
    full: Cell<u64>,
    /// Whether anybody can tell when a turn comes.
    pub(super) tells: bool,
}

impl Tap {
    pub(super) fn new(interval: u64, burst: u32) -> Self {
        Self {
            interval: Cell::new(interval * MILLI),
            burst: Cell::new(burst),
            full: Cell::new(0),
            tells: true,
        }
    }

    pub(super) const fn interval(&self) -> u64 {
        self.interval.get()
    }

    pub(super) const fn burst(&self) -> u32 {
        self.burst.get()
    }

    pub(super) fn change(&self, interval: u64, burst: u32, now: u64) {
        let missing = self.full.get().saturating_sub(now);
        let interval = interval * MILLI;
        self.full.set(now + missing / self.interval() * interval);
        self.interval.set(interval);
        self.burst.set(burst);
    }

    /// Puts units back.
    pub(super) fn put_back(&self, units: u32) {
        let back = u64::from(units) * self.interval();
        self.full.set(self.full.get().saturating_sub(back));
    }

    fn there(&self, units: u64, now: u64) -> u64 {
        let full = self.full.get().max(now);
        let missing = full.saturating_add(units.saturating_mul(self.interval()));
        missing.saturating_sub(u64::from(self.burst()) * self.interval())
    }
}

impl Supply for Tap {
    type Receipt = u32;

    fn take(&self, units: u32, now: Moment) -> Result<u32, Moment> {
        let now = now.nanos();
        let there = self.there(units.into(), now);
        if there > now {
            return Err(Moment::from_nanos(there));
        }
        let full = self.full.get().max(now);
        let missing = u64::from(units) * self.interval();
        self.full.set(full.saturating_add(missing));
        Ok(units)
    }

    fn ready(&self, units: u32, now: Moment) -> Moment {
        Moment::from_nanos(self.there(units.into(), now.nanos()))
    }

    fn turn(&self, units: u64, now: Moment) -> Option<Moment> {
        self.tells
            .then(|| Moment::from_nanos(self.there(units, now.nanos())))
    }

    fn fits(&self, units: u32) -> bool {
        units <= self.burst()
    }
}
