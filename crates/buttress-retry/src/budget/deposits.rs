//! The budget that lives on successes: what it lets go is a share of what has worked, and nothing when nothing works.

use std::cell::Cell;
use std::time::Duration;

use buttress_sync::Mutex;
use buttress_sync::atomic::{AtomicU64, Ordering};

use buttress_timer::Moment;

/// A bucket of tokens; a retry takes one, a success brings a part of one.
///
/// The bucket holds what ten seconds of the client's own requests would bring, and 3 at least: enough for a burst of failures of
/// its own size, and no more when everything fails, however many clients there are. That size is looked at only when something
/// has failed; while all is well the bucket is full, and a success costs one load. Brooker, "Fixing retries with token buckets
/// and circuit breakers" (2022), with a cap that follows the client's rate and a floor in time.
#[derive(Debug)]
pub(crate) struct Deposits {
    /// `tokens:32 | cap:32`, both in thousandths of a retry.
    word: AtomicU64,
    terms: Terms,
    measured: Mutex<Measured>,
    /// When the cap may be looked at again, in nanoseconds: spares the lock to those that fail together.
    next_look: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// What a success brings, in thousandths of a retry.
    pub(crate) deposit: u32,
    /// Whether a retry that succeeded gives its token back.
    pub(crate) refund: bool,
}

/// What the cap is made of.
#[derive(Debug)]
struct Measured {
    at: Moment,
    requests: u64,
    /// First attempts in a second, a moving average over ten seconds.
    rate: f64,
    /// Until when the floor was paid out.
    floor_paid: Moment,
    /// The highest cap so far: what may ever be had without a success.
    highest: u32,
    /// What a falling cap has taken away, and a rising one gives back.
    shelved: u32,
}

/// What stands in the word.
#[derive(Clone, Copy)]
struct Purse {
    tokens: u32,
    cap: u32,
}

const ONE: u32 = 1000;
const SMALLEST_CAP: u32 = 3 * ONE;
/// How much of the client's own traffic the cap stands for, and the time constant of its average.
const HORIZON: Duration = Duration::from_secs(10);
/// The cap is looked at this often at most.
const LOOK: Duration = Duration::from_millis(100);
/// A thousandth of a retry comes with this much time: one retry in 50 s, so that an idle client may find out.
const FLOOR: Duration = Duration::from_millis(50);

impl Purse {
    #[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
    const fn of(word: u64) -> Self {
        Self {
            tokens: (word >> 32) as u32,
            cap: word as u32,
        }
    }

    const fn word(self) -> u64 {
        (self.tokens as u64) << 32 | self.cap as u64
    }

    const fn plus(self, tokens: u32) -> Self {
        let tokens = self.tokens.saturating_add(tokens);
        Self {
            tokens: if tokens < self.cap { tokens } else { self.cap },
            cap: self.cap,
        }
    }

    /// With another cap; `more` of what it may hold then is there already.
    fn with_cap(self, cap: u32, more: u32) -> Self {
        let tokens = self.tokens.saturating_add(more).min(cap);
        Self { tokens, cap }
    }
}

impl Deposits {
    pub(crate) fn new(terms: Terms, now: Moment) -> Self {
        let full = Purse {
            tokens: SMALLEST_CAP,
            cap: SMALLEST_CAP,
        };
        Self {
            word: AtomicU64::new(full.word()),
            terms,
            measured: Mutex::new(Measured {
                at: now,
                requests: 0,
                rate: 0.0,
                floor_paid: now,
                highest: SMALLEST_CAP,
                shelved: 0,
            }),
            next_look: AtomicU64::new(now.plus(LOOK).nanos()),
        }
    }

    /// A call succeeded at its first attempt: one load while the bucket is full.
    #[inline]
    pub(crate) fn succeeded(&self) {
        let purse = Purse::of(self.word.load(Ordering::Relaxed));
        if purse.tokens < purse.cap {
            self.change(|purse| Some(purse.plus(self.terms.deposit)));
        }
    }

    /// A retry succeeded.
    pub(crate) fn retry_succeeded(&self) {
        let refund = if self.terms.refund { ONE } else { 0 };
        self.change(|purse| Some(purse.plus(self.terms.deposit + refund)));
    }

    /// Takes the token of one retry, if there is one. `requests` says how many first attempts there were so far; it is asked
    /// only when the cap is looked at.
    pub(crate) fn take(&self, now: Moment, requests: impl FnOnce() -> u64) -> bool {
        self.look(now, requests);
        let spend = |purse: Purse| {
            let tokens = purse.tokens.checked_sub(ONE)?;
            Some(Purse { tokens, ..purse })
        };
        self.change(spend)
    }

    /// Gives back the token of a retry that was not sent.
    pub(crate) fn give_back(&self) {
        self.change(|purse| Some(purse.plus(ONE)));
    }

    /// Whether a retry would be let go.
    pub(crate) fn has_some(&self, now: Moment, requests: impl FnOnce() -> u64) -> bool {
        self.look(now, requests);
        Purse::of(self.word.load(Ordering::Acquire)).tokens >= ONE
    }

    /// The cap, in retries.
    #[cfg(all(test, not(buttress_loom)))]
    pub(super) fn cap(&self) -> f64 {
        f64::from(Purse::of(self.word.load(Ordering::Acquire)).cap) / f64::from(ONE)
    }

    /// Brings the cap and the floor up to date.
    fn look(&self, now: Moment, requests: impl FnOnce() -> u64) {
        if now.nanos() < self.next_look.load(Ordering::Acquire) {
            return;
        }
        let mut measured = self.measured.lock();
        if now.since(measured.at) < LOOK {
            return;
        }
        let (cap, floor) = (
            measured.cap(self.terms.deposit, now, requests()),
            measured.floor(now),
        );
        self.next_look
            .store(now.plus(LOOK).nanos(), Ordering::Release);
        self.set_cap(cap, &mut measured);
        self.change(|purse| Some(purse.plus(floor)));
    }

    /// A cap that falls takes away what is above it, and gives that back when it rises. One that is higher than ever before lets a
    /// full bucket grow with it: a client starts with a full one, before anybody knows how large it will be. So all that was ever had
    /// without a success is the highest cap, however often the rate falls and rises.
    fn set_cap(&self, cap: u32, measured: &mut Measured) {
        let growth = cap.saturating_sub(measured.highest);
        let more = |purse: Purse| {
            let growth = if purse.tokens >= purse.cap { growth } else { 0 };
            measured.shelved.saturating_add(growth)
        };
        let before = Cell::new(Purse { tokens: 0, cap });
        self.change(|purse| {
            before.set(purse);
            Some(purse.with_cap(cap, more(purse)))
        });
        let before = before.get();
        let had = before.tokens.saturating_add(more(before));
        measured.shelved = had.saturating_sub(cap);
        measured.highest = measured.highest.max(cap);
    }

    fn change(&self, change: impl Fn(Purse) -> Option<Purse>) -> bool {
        let changed = |word| change(Purse::of(word)).map(Purse::word);
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, changed)
            .is_ok()
    }
}

impl Measured {
    /// What ten seconds of the client's own requests would bring, if all of them succeeded.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate is an estimate; casts of floats saturate"
    )]
    fn cap(&mut self, deposit: u32, now: Moment, requests: u64) -> u32 {
        let elapsed = now.since(self.at).as_secs_f64();
        let sample = requests.saturating_sub(self.requests) as f64 / elapsed;
        let weight = 1.0 - (-elapsed / HORIZON.as_secs_f64()).exp();
        self.rate += weight * (sample - self.rate);
        (self.at, self.requests) = (now, requests);
        let cap = self.rate * HORIZON.as_secs_f64() * f64::from(deposit);
        (cap as u32).max(SMALLEST_CAP)
    }

    /// What time alone has brought since it was last asked.
    fn floor(&mut self, now: Moment) -> u32 {
        let due = now.since(self.floor_paid).as_nanos() / FLOOR.as_nanos();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        self.floor_paid = self.floor_paid.plus(FLOOR.saturating_mul(due));
        due
    }
}
