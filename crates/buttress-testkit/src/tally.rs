//! What a probe counts: one tally for the probe and all its clones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::parking::Parking;

/// What a probe and all its clones have counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Polls of `poll_ready`.
    pub readiness_polls: usize,
    /// Calls, those that panicked in `call` included.
    pub calls: usize,
    /// Polls of response futures.
    pub future_polls: usize,
    /// Clones made of the probe.
    pub clones: usize,
    /// Instances of the probe that exist now.
    pub live_services: usize,
    /// Response futures that exist now, ended or not.
    pub live_futures: usize,
    /// [`Live`] values that exist now.
    pub live_values: usize,
    /// Response futures dropped before they had ended.
    pub dropped_futures: usize,
    /// Calls whose future has not ended yet.
    pub in_flight: usize,
    /// The most calls that were in flight at once.
    pub peak_in_flight: usize,
    /// Calls whose future has not ended or whose [`Live`] value still exists.
    pub open: usize,
    /// The most calls that were open at once.
    pub peak_open: usize,
    /// Breaches of the `Service` contract met so far; each panicked as well.
    pub breaches: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) turns: AtomicU64,
    pub(crate) readiness_polls: AtomicUsize,
    pub(crate) calls: AtomicUsize,
    pub(crate) future_polls: AtomicUsize,
    pub(crate) clones: AtomicUsize,
    pub(crate) breaches: AtomicUsize,
    pub(crate) services: Gauge,
    pub(crate) parking: Parking,
    futures: Gauge,
    values: Gauge,
    dropped_futures: AtomicUsize,
    in_flight: Gauge,
    open: Gauge,
}

impl Tally {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            readiness_polls: self.readiness_polls.load(Relaxed),
            calls: self.calls.load(Relaxed),
            future_polls: self.future_polls.load(Relaxed),
            clones: self.clones.load(Relaxed),
            live_services: self.services.now(),
            live_futures: self.futures.now(),
            live_values: self.values.now(),
            dropped_futures: self.dropped_futures.load(Relaxed),
            in_flight: self.in_flight.now(),
            peak_in_flight: self.in_flight.peak(),
            open: self.open.now(),
            peak_open: self.open.peak(),
            breaches: self.breaches.load(Relaxed),
        }
    }

    /// Counts a breach of the contract and fails the test, even when a layer swallows the panic:
    /// every check looks at the count too.
    pub(crate) fn breach(&self, what: &str) -> ! {
        self.breaches.fetch_add(1, Relaxed);
        panic!("{what}")
    }
}

/// How many there are, and how many there were at most.
///
/// Relaxed is enough: a layer that bounds calls makes the leaving of one happen before the entering
/// of the next, and then both orders of this one variable agree.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    pub(crate) fn enter(&self) {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        if now > self.peak.load(Relaxed) {
            self.peak.fetch_max(now, Relaxed);
        }
    }

    pub(crate) fn leave(&self) {
        self.now.fetch_sub(1, Relaxed);
    }

    fn now(&self) -> usize {
        self.now.load(Relaxed)
    }

    fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }
}

// === Presence ===

/// A call's future in the books: in flight until it ends, alive until it is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    tally: Arc<Tally>,
    in_flight: bool,
}

impl Presence {
    pub(crate) fn new(tally: &Arc<Tally>) -> Self {
        tally.futures.enter();
        tally.in_flight.enter();
        tally.open.enter();
        Self {
            tally: Arc::clone(tally),
            in_flight: true,
        }
    }

    /// Ends the flight with a response; the call stays open as long as the value that stands for it.
    pub(crate) fn answer(&mut self) -> Live {
        self.tally.values.enter();
        self.in_flight = false;
        self.tally.in_flight.leave();
        Live {
            tally: Arc::clone(&self.tally),
        }
    }

    /// Ends the flight with an error or a panic.
    pub(crate) fn end(&mut self) {
        self.in_flight = false;
        self.tally.in_flight.leave();
        self.tally.open.leave();
    }

    pub(crate) fn has_ended(&self) -> bool {
        !self.in_flight
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.in_flight {
            self.end();
            self.tally.dropped_futures.fetch_add(1, Relaxed);
        }
        self.tally.futures.leave();
    }
}

// === Live ===

/// Counts itself as long as it exists: the plain response of a probe, or the tracker to put into a
/// response or body of one's own.
///
/// Dropping it says that the call it stands for is over.
#[derive(Debug)]
pub struct Live {
    tally: Arc<Tally>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.tally.values.leave();
        self.tally.open.leave();
    }
}
