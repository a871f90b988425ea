use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::random::SplitMix64;
use crate::script::{Ending, Readiness, Script};

/// What the inner service plays: a script at random for each turn, until it is told to be calm.
#[derive(Clone)]
pub(super) struct Plan {
    seed: u64,
    fallible: bool,
    calm: Arc<AtomicBool>,
}

impl Plan {
    pub(super) fn new(seed: u64, fallible: bool) -> Self {
        Self {
            seed,
            fallible,
            calm: Arc::default(),
        }
    }

    /// From here on every turn is a good call.
    pub(super) fn calm_down(&self) {
        self.calm.store(true, Relaxed);
    }

    pub(super) fn script(&self, turn: u64) -> Script {
        if self.calm.load(Relaxed) {
            return Script::default();
        }
        let mut random = SplitMix64::split(self.seed, turn);
        let readiness = match random.below(5) {
            0 => Readiness::After(1 + random.below(2)),
            _ => Readiness::AtOnce,
        };
        let suspensions = random.below(4);
        Script::new(self.ending(&mut random))
            .readiness(readiness)
            .suspensions(suspensions)
    }

    fn ending(&self, random: &mut SplitMix64) -> Ending {
        match random.below(20) {
            0..3 if self.fallible => Ending::Err,
            3 => Ending::PanicInCall,
            4..6 => Ending::PanicInPoll,
            6..8 => Ending::Hang,
            _ => Ending::Ok,
        }
    }
}
