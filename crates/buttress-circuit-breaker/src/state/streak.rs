use buttress_sync::atomic::{AtomicU64, Ordering};

/// Counts failures in a row, for one generation at a time: `generation:32 | failures:32`.
#[derive(Debug)]
pub(crate) struct Streak(AtomicU64);

impl Streak {
    pub(crate) fn new(generation: u32) -> Self {
        Self(AtomicU64::new(word(generation, 0)))
    }

    /// Starts anew for the calls of `generation`.
    pub(crate) fn restart(&self, generation: u32) {
        // A swap, not a store: it takes its place among the exchanges of calls that end meanwhile.
        self.0.swap(word(generation, 0), Ordering::AcqRel);
    }

    /// How many failures there are in a row.
    #[inline]
    pub(crate) fn length(&self) -> u32 {
        length(self.0.load(Ordering::Relaxed))
    }

    /// Ends the streak; a streak of zero is only read.
    #[inline]
    pub(crate) fn succeed(&self, generation: u32) {
        if self.length() != 0 {
            self.end(generation);
        }
    }

    #[cold]
    fn end(&self, generation: u32) {
        let mut seen = self.0.load(Ordering::Relaxed);
        while owner(seen) == generation && length(seen) != 0 {
            match self.exchange(seen, word(generation, 0)) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Lengthens the streak and tells how long it is now; `None` when another generation owns it.
    pub(crate) fn fail(&self, generation: u32) -> Option<u32> {
        let mut seen = self.0.load(Ordering::Relaxed);
        while owner(seen) == generation {
            let longer = length(seen).saturating_add(1);
            match self.exchange(seen, word(generation, longer)) {
                Ok(_) => return Some(longer),
                Err(now) => seen = now,
            }
        }
        None
    }

    fn exchange(&self, seen: u64, next: u64) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed)
    }
}

const fn word(generation: u32, length: u32) -> u64 {
    (generation as u64) << 32 | length as u64
}

const fn owner(word: u64) -> u32 {
    (word >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn length(word: u64) -> u32 {
    word as u32
}
