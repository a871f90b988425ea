//! The rate of all windows, for many threads that read it.

use buttress_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use buttress_timer::nanos;

use crate::rate::Rate;

#[cfg(all(test, buttress_loom))]
mod loom_tests;

/// So many units in so many nanoseconds, and how many other rates there were before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) change: u64,
    pub(super) limit: u32,
    pub(super) width: u64,
}

/// The terms that hold at this moment, read as a whole and without a lock, though others may take their place at any time.
///
/// There are places for two. New terms are written beside those in force, and are in force by one store: so nobody waits for a
/// writer that was interrupted.
#[derive(Debug)]
pub(super) struct InForce {
    change: AtomicU64,
    even: Place,
    odd: Place,
}

#[derive(Debug)]
struct Place {
    limit: AtomicU32,
    width: AtomicU64,
}

impl InForce {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            change: AtomicU64::new(0),
            even: Place::of(rate),
            odd: Place::of(rate),
        }
    }

    /// Which change of the terms is in force.
    #[inline]
    pub(super) fn change(&self) -> u64 {
        self.change.load(Ordering::Acquire)
    }

    pub(super) fn get(&self) -> Terms {
        let mut change = self.change();
        loop {
            let place = self.place(change);
            let limit = place.limit.load(Ordering::Acquire);
            let width = place.width.load(Ordering::Acquire);
            // The place is written again for the change after the next one. Who has read a part of that sees the next one here.
            let current = self.change();
            if current == change {
                return Terms {
                    change,
                    limit,
                    width,
                };
            }
            change = current;
        }
    }

    /// Must not run twice at once.
    pub(super) fn set(&self, rate: Rate) {
        let next = self.change.load(Ordering::Relaxed).wrapping_add(1);
        let place = self.place(next);
        place.limit.store(rate.units(), Ordering::Release);
        place.width.store(nanos(rate.per()), Ordering::Release);
        self.change.store(next, Ordering::Release);
    }

    const fn place(&self, change: u64) -> &Place {
        if change.is_multiple_of(2) {
            &self.even
        } else {
            &self.odd
        }
    }
}

impl Place {
    fn of(rate: Rate) -> Self {
        Self {
            limit: AtomicU32::new(rate.units()),
            width: AtomicU64::new(nanos(rate.per())),
        }
    }
}
