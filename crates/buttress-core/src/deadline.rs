use std::time::Duration;

use tokio::time::Instant;

/// The moment after which nobody waits for the answer any more.
///
/// Set by whoever knows it, in the request's extensions over HTTP; no layer queues, retries or starts what cannot finish in
/// time. It may be set by several, and keeps apart what the caller has said and what a total timeout of ours says: a call that is cut
/// by the one says nothing about the dependency, one that is cut by the other does. The earlier of two is the lesser;
/// [`earlier`](Self::earlier) forgets neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    /// The earliest of all.
    instant: Instant,
    /// The earliest that a caller has set.
    callers: Option<Instant>,
    /// The earliest of those that hold for a stream, too.
    streams: Option<Instant>,
}

/// A wait that outlasts every program: what [`Deadline::after`] takes a longer one for.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Deadline {
    /// The caller's deadline at this moment.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self {
            instant,
            callers: Some(instant),
            streams: Some(instant),
        }
    }

    /// The caller's deadline this long after `now`; a hundred years, if that is nearer.
    #[must_use]
    pub fn after(now: Instant, wait: Duration) -> Self {
        Self::at(now.checked_add(wait.min(FOREVER)).unwrap_or(now))
    }

    /// The same moment for an answer that ends, and none for one that turns out to be a stream once its head is there.
    #[must_use]
    pub const fn sparing_streams(self) -> Self {
        Self {
            streams: None,
            ..self
        }
    }

    /// The same moment as the end of a total timeout of ours, which no caller has set; it spares streams.
    #[must_use]
    pub const fn as_total(self) -> Self {
        Self {
            callers: None,
            streams: None,
            ..self
        }
    }

    /// Both deadlines at once.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        let earlier =
            |one: Option<Instant>, other: Option<Instant>| one.into_iter().chain(other).min();
        Self {
            instant: self.instant.min(other.instant),
            callers: earlier(self.callers, other.callers),
            streams: earlier(self.streams, other.streams),
        }
    }

    /// What the caller has said of it.
    #[must_use]
    pub fn callers(self) -> Option<Self> {
        let instant = self.callers?;
        Some(Self { instant, ..self })
    }

    /// What holds for an answer that has turned out to be a stream.
    #[must_use]
    pub fn for_stream(self) -> Option<Self> {
        self.streams.map(Self::at)
    }

    /// Whether it is the caller who is gone then, and not a total timeout of ours that is over.
    #[must_use]
    pub fn is_callers(self) -> bool {
        self.callers == Some(self.instant)
    }

    /// The moment itself: the earliest of all.
    #[must_use]
    pub const fn instant(self) -> Instant {
        self.instant
    }

    /// How long is left at `now`; zero once it has passed.
    #[must_use]
    pub fn remaining(self, now: Instant) -> Duration {
        self.instant.saturating_duration_since(now)
    }

    /// Whether nobody waits any more at `now`.
    #[must_use]
    pub fn has_passed(self, now: Instant) -> bool {
        self.instant <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_earlier_of_two_deadlines_is_the_lesser() {
        let now = Instant::now();
        assert!(Deadline::after(now, SECOND) < Deadline::after(now, 2 * SECOND));
        assert!(Deadline::after(now, SECOND).as_total() < Deadline::after(now, 2 * SECOND));
    }

    #[test]
    fn neither_of_two_deadlines_is_forgotten() {
        let now = Instant::now();
        let callers = Deadline::after(now, 3 * SECOND);
        let arrived = Deadline::after(now, 2 * SECOND).sparing_streams();
        let total = Deadline::after(now, SECOND).as_total();
        for all in [
            callers.earlier(arrived).earlier(total),
            total.earlier(arrived).earlier(callers),
        ] {
            assert_eq!(all.instant(), now + SECOND);
            assert!(!all.is_callers());
            let said = all.callers().map(Deadline::instant);
            assert_eq!(said, Some(now + 2 * SECOND));
            assert!(all.callers().is_some_and(Deadline::is_callers));
            assert_eq!(all.for_stream(), Some(callers));
            assert_eq!(all.callers().and_then(Deadline::for_stream), Some(callers));
        }
        assert_eq!(total.callers(), None);
        assert_eq!(arrived.earlier(total).for_stream(), None);
    }

    #[test]
    fn a_deadline_takes_any_wait() {
        let now = Instant::now();
        assert_eq!(
            Deadline::after(now, Duration::ZERO).remaining(now),
            Duration::ZERO
        );
        assert!(Deadline::after(now, Duration::ZERO).has_passed(now));
        assert!(Deadline::after(now, Duration::MAX).remaining(now) >= Duration::from_secs(1 << 31));
    }
}
