//! A bounded store of answers. No clock, no lock, and nothing of a user's runs in it: keys are hashes, answers are counted references,
//! and what goes is handed out to be dropped elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use buttress_core::Keep;
use tokio::time::Instant;

use self::forgotten::Forgotten;

mod forgotten;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    /// So young an answer is as good as one of the primary.
    pub(crate) fresh: Duration,
    /// So old an answer is better than none.
    pub(crate) stale: Duration,
}

/// What is kept, the oldest of which makes room for the next.
#[derive(Debug)]
pub(crate) struct Store<T> {
    bounds: Bounds,
    slots: HashMap<u64, Slot<T>>,
    /// The keys in the order in which their answers came.
    order: BTreeMap<u64, u64>,
    bytes: usize,
    number: u64,
    forgotten: Forgotten,
}

#[derive(Debug)]
struct Slot<T> {
    answer: Arc<T>,
    keep: Keep,
    asked: Instant,
    number: u64,
    /// Who has been sent for another.
    sent: Option<u64>,
}

/// What was kept, as it is handed out.
#[derive(Debug)]
pub(crate) struct Held<T> {
    pub(crate) answer: Arc<T>,
    pub(crate) age: Duration,
    pub(crate) fresh: bool,
}

/// What is kept for a caller who would ask the primary.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// Nobody need be asked: it is fresh, or somebody has been sent already.
    Serve(Held<T>),
    /// It is to be asked for: this caller is sent, and nobody else is until it [has come back](Store::come_back).
    Send(u64),
    /// Nothing is kept.
    Ask,
}

/// What made room: dropped by whoever called, after its lock.
pub(crate) type Gone<T> = Vec<Arc<T>>;

/// Longer than any answer is kept, and short enough to be added up.
const EVER: Duration = Duration::from_secs(1 << 31);

impl<T> Slot<T> {
    fn age(&self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.asked);
        since.saturating_add(self.keep.age)
    }

    /// Whether it was made later than an answer that was asked for then, and was so old.
    fn is_newer(&self, asked: Instant, age: Duration) -> bool {
        Made(self.asked, self.keep.age).is_later_than(Made(asked, age.min(EVER)))
    }
}

/// When an answer was made: so long before it was asked for then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made(pub(crate) Instant, pub(crate) Duration);

impl Made {
    pub(crate) fn is_later_than(self, other: Self) -> bool {
        self.0.checked_add(other.1) > other.0.checked_add(self.1)
    }
}

impl<T> Store<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            slots: HashMap::new(),
            order: BTreeMap::new(),
            bytes: 0,
            number: 0,
            forgotten: Forgotten::new(bounds.entries),
        }
    }

    /// Keeps an answer that was asked for then, in the place of one that is there, unless that is newer, or it was forgotten since. One
    /// that is too large, or too old already, is not kept, nor is the one before: it is outdated.
    pub(crate) fn put(
        &mut self,
        at: u64,
        answer: Arc<T>,
        keep: Keep,
        asked: Instant,
        now: Instant,
    ) -> Gone<T> {
        let keep = Keep {
            age: keep.age.min(EVER),
            ..keep
        };
        let mut gone = Vec::new();
        self.forget_outdated(now, &mut gone);
        let is_newer = |slot: &Slot<T>| slot.is_newer(asked, keep.age);
        let is_outdated = self.slots.get(&at).is_some_and(is_newer);
        if is_outdated || self.forgotten.holds(at, Made(asked, keep.age)) {
            gone.push(answer);
            return gone;
        }
        // Whoever was sent is not back yet.
        let sent = self.slots.get(&at).and_then(|slot| slot.sent);
        gone.extend(self.remove(at));
        let number = self.next_number();
        let slot = Slot {
            answer,
            keep,
            asked,
            number,
            sent,
        };
        let has_no_room = keep.bytes > self.bounds.bytes || self.bounds.entries == 0;
        if has_no_room || self.is_too_old(&slot, now) {
            gone.push(slot.answer);
            return gone;
        }
        self.make_room(keep.bytes, &mut gone);
        self.bytes += keep.bytes;
        self.order.insert(number, at);
        self.slots.insert(at, slot);
        gone
    }

    fn is_too_old(&self, slot: &Slot<T>, now: Instant) -> bool {
        let age = slot.age(now);
        age >= self.longest(slot) && !age.is_zero()
    }

    fn longest(&self, slot: &Slot<T>) -> Duration {
        self.bounds.stale.min(slot.keep.longest)
    }

    /// What is kept there, unless it is too old.
    pub(crate) fn get(&self, at: u64, now: Instant) -> Option<Held<T>> {
        let slot = self.slots.get(&at)?;
        let age = slot.age(now);
        let fresh = self.bounds.fresh.min(slot.keep.fresh);
        (!self.is_too_old(slot, now)).then(|| Held {
            answer: Arc::clone(&slot.answer),
            age,
            fresh: age < fresh.min(self.longest(slot)),
        })
    }

    /// What is kept there, or who is to ask for another.
    pub(crate) fn first(&mut self, at: u64, now: Instant) -> Next<T> {
        let Some(held) = self.get(at, now) else {
            return Next::Ask;
        };
        if held.fresh {
            return Next::Serve(held);
        }
        let number = self.next_number();
        match self.slots.get_mut(&at) {
            Some(slot) if slot.sent.is_none() => {
                slot.sent = Some(number);
                Next::Send(number)
            }
            _ => Next::Serve(held),
        }
    }

    /// Whoever was sent under this number has come back: another may be sent.
    pub(crate) fn come_back(&mut self, at: u64, number: u64) {
        if let Some(slot) = self.slots.get_mut(&at)
            && slot.sent == Some(number)
        {
            slot.sent = None;
        }
    }

    /// Forgets what is kept there, and what comes later, unless it is newer than an answer that was asked for then, and was so old. Where
    /// nothing is kept only a change is remembered: else whoever asks for what is not there would fill the memory of what was forgotten.
    pub(crate) fn forget(
        &mut self,
        at: u64,
        asked: Instant,
        age: Duration,
        is_change: bool,
    ) -> Option<Arc<T>> {
        if is_change || self.slots.contains_key(&at) {
            self.forgotten.note(at, Made(asked, age.min(EVER)));
        }
        let slot = self.slots.get(&at)?;
        (!slot.is_newer(asked, age)).then(|| self.remove(at))?
    }

    /// How many answers are kept, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.slots.len(), self.bytes)
    }

    const fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn remove(&mut self, at: u64) -> Option<Arc<T>> {
        let slot = self.slots.remove(&at)?;
        self.order.remove(&slot.number);
        self.bytes -= slot.keep.bytes;
        Some(slot.answer)
    }

    fn oldest(&self) -> Option<u64> {
        self.order.first_key_value().map(|(_, at)| *at)
    }

    fn make_room(&mut self, bytes: usize, gone: &mut Gone<T>) {
        let most = self.bounds.bytes - bytes;
        while self.slots.len() >= self.bounds.entries || self.bytes > most {
            let Some(oldest) = self.oldest() else { break };
            gone.extend(self.remove(oldest));
        }
    }

    fn forget_outdated(&mut self, now: Instant, gone: &mut Gone<T>) {
        while let Some(oldest) = self.oldest() {
            if self.get(oldest, now).is_some() {
                break;
            }
            gone.extend(self.remove(oldest));
        }
    }
}

#[cfg(test)]
mod tests;
