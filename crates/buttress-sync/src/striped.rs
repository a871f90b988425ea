use std::cell::Cell;
use std::fmt;
use std::iter;
// Statistics are no part of a machine's logic: they stay std's under loom, which would only multiply its schedules.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many threads count without touching each other's cache line; a power of two.
const STRIPES: usize = 16;

/// Counts `N` kinds of things, each thread on a cache line of its own.
///
/// Adding is one relaxed add on a line that other threads seldom touch; reading sums all lines. A sum that is read while
/// others add may miss what is added meanwhile; once nothing runs it is exact. `N` is at most 16. 2 KiB.
pub struct Striped<const N: usize>([Stripe<N>; STRIPES]);

// 128 bytes: two lines of 64, because processors fetch them in pairs.
#[repr(align(128))]
struct Stripe<const N: usize>([AtomicU64; N]);

impl<const N: usize> Striped<N> {
    /// Starts all counters at zero.
    #[must_use]
    pub fn new() -> Self {
        const { assert!(N <= 16, "a stripe has room for 16 counters") };
        Self(std::array::from_fn(|_| {
            Stripe(std::array::from_fn(|_| AtomicU64::new(0)))
        }))
    }

    /// Adds one to counter `kind`. A kind that does not exist is not counted.
    #[inline]
    pub fn add(&self, kind: usize) {
        let stripe = self.0.get(stripe_of_this_thread() % STRIPES);
        if let Some(counter) = stripe.and_then(|stripe| stripe.0.get(kind)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The sums of all threads.
    #[must_use]
    pub fn sums(&self) -> [u64; N] {
        let mut sums = [0_u64; N];
        for stripe in &self.0 {
            for (sum, counter) in iter::zip(&mut sums, &stripe.0) {
                *sum = sum.wrapping_add(counter.load(Ordering::Relaxed));
            }
        }
        sums
    }
}

impl<const N: usize> Default for Striped<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Striped<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Striped").field(&self.sums()).finish()
    }
}

const UNASSIGNED: usize = usize::MAX;

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(UNASSIGNED) };
}

#[inline]
fn stripe_of_this_thread() -> usize {
    let stripe = STRIPE.get();
    if stripe == UNASSIGNED {
        assign_stripe()
    } else {
        stripe
    }
}

/// Threads take stripes in turn, so that the first sixteen share none.
#[cold]
fn assign_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let stripe = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    STRIPE.set(stripe);
    stripe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_once_nothing_runs() {
        let counters = Striped::<3>::new();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..1000).for_each(|i| counters.add(i % 2)));
            }
        });
        assert_eq!(counters.sums(), [10_000, 10_000, 0]);
    }

    #[test]
    fn stripes_lie_on_lines_of_their_own() {
        assert_eq!(size_of::<Striped<6>>(), 16 * 128);
        assert_eq!(align_of::<Striped<6>>(), 128);
    }
}
