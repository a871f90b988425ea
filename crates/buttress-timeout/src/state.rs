//! The machine: how long a call may take, learned from what calls took. No clock, no task, no log.

mod climbers;
mod learner;

use std::time::Duration;

use buttress_histogram::{CensoredHistogram, CensoredSnapshot};
use buttress_sync::Mutex;
use buttress_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use buttress_timer::{Moment, nanos};

use self::climbers::Climbers;
use self::learner::{Decision, Learner, Seen};
pub(crate) use self::learner::{Rule, Turn};

/// How long a timeout stands before it is looked at again.
const STANDS_FOR: Duration = Duration::from_millis(100);

/// One call in 64 explores: it may take longer, so that it can be seen what calls take that would be cut.
const FEW: u64 = 63;
/// One in eight, while so many are cut that nothing can be said of the others.
const MANY: u64 = 7;
/// Not more of those at once that climb the same ladder, however long they may take.
const MOST_CLIMBERS: u64 = 8;
/// Nor more of all ladders, of which those before may still have some that hang.
const MOST_OF_ALL: u64 = 32;

const MASK_BITS: u32 = 8;
const MASK: u64 = (1 << MASK_BITS) - 1;
const LONGEST: u64 = u64::MAX >> MASK_BITS;

/// The golden ratio as a fraction of 2^64: multiples of it spread as evenly as numbers can (Knuth, vol. 3, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What all calls share, and what was learned from them.
pub(crate) struct State {
    /// The timeout in nanoseconds << 8 | the mask that says who explores: what each call reads, in one word.
    current: AtomicU64,
    /// How long a call that explores may take, in nanoseconds.
    exploring: AtomicU64,
    /// When the timeout is to be looked at again, in nanoseconds.
    due: AtomicU64,
    /// Calls under way that climb.
    climbers: AtomicU64,
    /// Calls in a row that were given all the time there is, and needed more.
    hopeless: AtomicU32,
    ceiling: u64,
    seed: u64,
    samples: CensoredHistogram,
    learner: Mutex<Learner>,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) limit: Duration,
    pub(crate) trial: Trial,
}

/// Whether a call may take longer than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    None,
    /// One of the few.
    Explores,
    /// One of the many; it has a place on the ladder of this number, which it gives back.
    Climbs(u32),
    /// Such a one with all the time there is.
    ClimbsToTheTop(u32),
}

impl Trial {
    /// The ladder that it has a place on.
    const fn ladder(self) -> Option<u32> {
        match self {
            Self::Climbs(ladder) | Self::ClimbsToTheTop(ladder) => Some(ladder),
            Self::None | Self::Explores => None,
        }
    }
}

/// How a call ended, as far as its time is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered.
    Completed,
    /// It was cut by its own limit.
    TimedOut,
    /// It was given up: an answer would have taken at least as long.
    Censored,
    /// It says nothing: a failure, or a refusal.
    Nothing,
}

impl State {
    pub(crate) fn new(rule: Rule, seed: u64) -> Self {
        let ceiling = nanos(rule.ceiling).min(LONGEST);
        Self {
            current: AtomicU64::new(ceiling << MASK_BITS | FEW),
            exploring: AtomicU64::new(ceiling),
            due: AtomicU64::new(0),
            climbers: AtomicU64::new(0),
            hopeless: AtomicU32::new(0),
            ceiling,
            seed,
            samples: CensoredHistogram::new(),
            learner: Mutex::new(Learner::new(rule)),
        }
    }

    /// The timeout of this moment.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_nanos(self.current.load(Ordering::Relaxed) >> MASK_BITS)
    }

    /// How long a call that starts now may take. Who explores is chosen by the moment of its start, which costs nothing and repeats
    /// with the seed.
    #[inline]
    pub(crate) fn allow(&self, now: Moment) -> Allowance {
        let current = self.current.load(Ordering::Relaxed);
        let lot = (now.nanos() ^ self.seed).wrapping_mul(GOLDEN) >> (u64::BITS - MASK_BITS);
        let limit = current >> MASK_BITS;
        if lot & current & MASK == 0 {
            return self.explore(limit, current & MASK);
        }
        Allowance {
            limit: Duration::from_nanos(limit),
            trial: Trial::None,
        }
    }

    #[cold]
    fn explore(&self, limit: u64, mask: u64) -> Allowance {
        let longer = self.exploring.load(Ordering::Relaxed);
        let trial = if longer <= limit {
            Trial::None
        } else if mask == FEW {
            Trial::Explores
        } else {
            match self.take_place() {
                None => Trial::None,
                Some(ladder) if longer < self.ceiling => Trial::Climbs(ladder),
                Some(ladder) => Trial::ClimbsToTheTop(ladder),
            }
        };
        let limit = if trial == Trial::None { limit } else { longer };
        Allowance {
            limit: Duration::from_nanos(limit),
            trial,
        }
    }

    /// Takes a place on the present ladder, if there is one.
    fn take_place(&self) -> Option<u32> {
        let place = |word| {
            let climbers = Climbers::of(word);
            let has_room = climbers.here < MOST_CLIMBERS && climbers.all < MOST_OF_ALL;
            has_room.then(|| climbers.and_one().word())
        };
        let before = self
            .climbers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, place);
        before.ok().map(|word| Climbers::of(word).ladder)
    }

    /// The number of the ladder that stands.
    fn ladder(&self) -> u32 {
        Climbers::of(self.climbers.load(Ordering::Relaxed)).ladder
    }

    /// Gives a place back; on a ladder that stands no more it is only one of all.
    fn give_back(&self, ladder: u32) {
        let leave = |word| Some(Climbers::of(word).without_one(ladder).word());
        let _ = self
            .climbers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, leave);
    }

    /// Takes in how a call ended that took so long; gives the turn that the timeout took by it, if it was time to look.
    #[inline]
    pub(crate) fn settle(
        &self,
        trial: Trial,
        outcome: Outcome,
        took: Duration,
        now: Moment,
    ) -> Option<(Turn, Duration)> {
        if trial != Trial::None {
            self.end_trial(trial, outcome, took);
        }
        match outcome {
            Outcome::Completed => self.samples.record(took),
            Outcome::TimedOut => self.samples.record_censored(took),
            // Who gives up long before the timeout has shown nothing about it, and would only drive out those who have.
            Outcome::Censored if took >= self.timeout() / 2 => self.samples.record_censored(took),
            Outcome::Censored | Outcome::Nothing => return None,
        }
        if now.nanos() < self.due.load(Ordering::Relaxed) {
            return None;
        }
        self.look_if_due(now)
    }

    #[cold]
    fn end_trial(&self, trial: Trial, outcome: Outcome, took: Duration) {
        if let Some(ladder) = trial.ladder() {
            self.give_back(ladder);
        }
        match (trial, outcome) {
            // What comes of a ladder that stands no more says nothing of this one.
            (Trial::ClimbsToTheTop(ladder), Outcome::TimedOut) if ladder == self.ladder() => {
                self.hopeless.fetch_add(1, Ordering::Relaxed);
            }
            // One that the others' limit would have allowed says nothing new.
            (_, Outcome::Completed) if took > self.timeout() => {
                self.hopeless.store(0, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// One of those who find it due looks.
    #[cold]
    fn look_if_due(&self, now: Moment) -> Option<(Turn, Duration)> {
        let due = self.due.load(Ordering::Relaxed);
        let next = now.plus(STANDS_FOR).nanos();
        let is_mine = due <= now.nanos()
            && self
                .due
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_mine.then(|| self.look(now).1).flatten()
    }

    /// Learns from all samples that are there, and gives those of the long horizon.
    pub(crate) fn look(&self, now: Moment) -> (CensoredSnapshot, Option<(Turn, Duration)>) {
        let mut learner = self.learner.lock();
        let samples = self.samples.drain();
        let climbers = Seen {
            hopeless: self.hopeless.load(Ordering::Relaxed),
            still_climbing: Climbers::of(self.climbers.load(Ordering::Relaxed)).here,
        };
        let decision = learner.learn(Duration::from_nanos(now.nanos()), &samples, climbers);
        // Under the lock, so that an older decision does not follow a newer one.
        self.publish(decision);
        let turn = decision.turn.map(|turn| (turn, decision.timeout));
        (learner.seen(), turn)
    }

    fn publish(&self, decision: Decision) {
        let limit = nanos(decision.timeout).min(LONGEST);
        let mask = if decision.climbs { MANY } else { FEW };
        self.exploring
            .store(nanos(decision.exploring).min(LONGEST), Ordering::Relaxed);
        self.current
            .store(limit << MASK_BITS | mask, Ordering::Relaxed);
        if decision.starts_anew {
            let next = |word| Some(Climbers::of(word).on_the_next().word());
            let _ = self
                .climbers
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
            self.hopeless.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests;
