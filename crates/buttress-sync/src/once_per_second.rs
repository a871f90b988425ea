use std::sync::atomic::{AtomicU64, Ordering};

const SECOND: u64 = 1_000_000_000;

/// Lets one thing through a second and counts the others: for log lines about what may happen a million times a second.
///
/// Any number of threads may ask; the time is the caller's, in nanoseconds since a start of the caller's choice.
#[derive(Debug, Default)]
pub struct OncePerSecond {
    held_back: AtomicU64,
    next: AtomicU64,
}

impl OncePerSecond {
    /// Lets this one through, with the number of those since the last, itself included; or holds it back.
    pub fn take(&self, now_nanos: u64) -> Option<u64> {
        self.held_back.fetch_add(1, Ordering::Relaxed);
        let due = self.next.load(Ordering::Relaxed);
        let next = now_nanos.saturating_add(SECOND);
        let is_mine = due <= now_nanos
            && self
                .next
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_mine.then(|| self.held_back.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_goes_through_and_tells_of_the_others() {
        let once = OncePerSecond::default();
        assert_eq!(once.take(0), Some(1));
        for moment in 1..1000 {
            assert_eq!(once.take(moment), None);
        }
        assert_eq!(once.take(SECOND), Some(1000));
        assert_eq!(once.take(u64::MAX), Some(1));
    }
}
