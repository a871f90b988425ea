//! Where whatever waits for the test's hand is parked.

#![expect(
    clippy::disallowed_types,
    reason = "the kit stands alone; poison is ignored here too"
)]

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::script::Waking;
use crate::tally::Tally;

#[derive(Debug, Default)]
pub(crate) struct Parking {
    berths: AtomicU64,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    releases: u64,
    wakers: HashMap<u64, Waker>,
}

impl Parking {
    /// Lets everything parked take one step, and wakes it.
    pub(crate) fn release(&self) {
        let mut places = self.lock();
        places.releases += 1;
        let wakers = mem::take(&mut places.wakers);
        drop(places);
        wakers.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === Berth ===

/// One parked thing: it remembers the latest waker only, as a real source of events does.
#[derive(Debug)]
struct Berth {
    tally: Arc<Tally>,
    id: u64,
    since: u64,
}

impl Berth {
    fn new(tally: &Arc<Tally>) -> Self {
        let id = tally.parking.berths.fetch_add(1, Relaxed);
        let since = tally.parking.lock().releases;
        Self {
            tally: Arc::clone(tally),
            id,
            since,
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut places = self.tally.parking.lock();
        if places.releases > self.since {
            return Poll::Ready(());
        }
        let former = places.wakers.insert(self.id, waker);
        // Wakers are the caller's code: none is cloned, woken or dropped under the lock.
        drop(places);
        drop(former);
        Poll::Pending
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        let waker = self.tally.parking.lock().wakers.remove(&self.id);
        drop(waker);
    }
}

// === Suspension ===

/// A number of pending polls.
#[derive(Debug)]
pub(crate) struct Suspension {
    left: u32,
    waking: Waking,
    berth: Option<Berth>,
}

impl Suspension {
    pub(crate) fn new(polls: u32, waking: Waking) -> Self {
        Self {
            left: polls,
            waking,
            berth: None,
        }
    }

    pub(crate) fn poll(&mut self, tally: &Arc<Tally>, cx: &Context<'_>) -> Poll<()> {
        match self.waking {
            _ if self.left == 0 => Poll::Ready(()),
            Waking::Itself => self.wake_itself(cx),
            Waking::ByHand => self.wait_for_a_hand(tally, cx),
        }
    }

    fn wake_itself(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn wait_for_a_hand(&mut self, tally: &Arc<Tally>, cx: &Context<'_>) -> Poll<()> {
        while self.left > 0 {
            let berth = self.berth.get_or_insert_with(|| Berth::new(tally));
            if berth.poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.berth = None;
            self.left -= 1;
        }
        Poll::Ready(())
    }
}
