use std::time::Duration;

/// How long a call that was called may take to come: as long as is set, and longer while that proves too short.
///
/// Without that a runtime in which polls come later would pass over one call after the other until nobody ever got in. It doubles
/// with each call that comes after all, to at most a second; each call that comes in time takes a part of 1/32 away.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    least: Duration,
    now: Duration,
}

/// How long it becomes at most, unless it is longer from the start.
const MOST: Duration = Duration::from_secs(1);

/// Which part of it each call that comes in time takes away.
const LESS: u32 = 32;

impl Patience {
    /// Never less than `least`.
    #[must_use]
    pub const fn new(least: Duration) -> Self {
        Self { least, now: least }
    }

    /// How long it is now.
    #[inline]
    #[must_use]
    pub const fn now(self) -> Duration {
        self.now
    }

    /// A call that was passed over came after so long: doubles, to no more than twice that.
    #[inline]
    pub fn grow(&mut self, late: Duration) {
        if late <= MOST {
            let enough = late.saturating_mul(2).min(MOST);
            let grown = self.now.saturating_mul(2).min(enough);
            self.now = self.now.max(grown);
        }
    }

    /// A call came in time.
    #[inline]
    pub fn shrink(&mut self) {
        let less = self.now.saturating_sub(self.now / LESS);
        self.now = less.max(self.least);
    }
}

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_doubles_to_twice_what_would_have_been_enough_and_to_a_second() {
        let mut patience = Patience::new(10 * MS);
        for (late, expected) in [(50, 20), (15, 30), (15, 30), (400, 60), (5_000, 60)] {
            patience.grow(late * MS);
            assert_eq!(patience.now(), expected * MS);
        }
        (0..10).for_each(|_| patience.grow(MOST));
        assert_eq!(patience.now(), MOST);
    }

    #[test]
    fn it_shrinks_to_what_was_set() {
        let mut patience = Patience::new(10 * MS);
        patience.grow(400 * MS);
        patience.shrink();
        assert_eq!(patience.now(), 20 * MS - 20 * MS / 32);
        (0..1_000).for_each(|_| patience.shrink());
        assert_eq!(patience.now(), 10 * MS);
    }

    #[test]
    fn a_longer_one_from_the_start_stays() {
        let mut patience = Patience::new(Duration::MAX);
        patience.grow(MOST);
        patience.shrink();
        assert_eq!(patience.now(), Duration::MAX);
    }
}
