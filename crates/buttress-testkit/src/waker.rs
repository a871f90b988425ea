use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

/// A waker that only counts: whoever polls by hand learns whether a further poll is due.
#[derive(Debug)]
pub(crate) struct CountingWaker {
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl CountingWaker {
    pub(crate) fn new() -> Self {
        Self::stirring(Arc::default())
    }

    /// Adds one to `stir` from its first wake on until that is taken, or for good given up.
    pub(crate) fn stirring(stir: Arc<AtomicUsize>) -> Self {
        let count = AtomicUsize::new(0);
        let wakes = Arc::new(Wakes { count, stir });
        Self {
            waker: Waker::from(Arc::clone(&wakes)),
            wakes,
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakes.count.load(SeqCst) > 0
    }

    /// How often it was woken since the last look.
    pub(crate) fn take(&self) -> usize {
        self.wakes.leave(0)
    }
}

impl Drop for CountingWaker {
    fn drop(&mut self) {
        self.wakes.leave(GIVEN_UP);
    }
}

#[derive(Debug)]
struct Wakes {
    count: AtomicUsize,
    stir: Arc<AtomicUsize>,
}

impl Wakes {
    fn leave(&self, count: usize) -> usize {
        let wakes = self.count.swap(count, SeqCst);
        if wakes > 0 {
            self.stir.fetch_sub(1, SeqCst);
        }
        wakes
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Stirs before it counts: in between, a taken wake must not make all seem still.
        self.stir.fetch_add(1, SeqCst);
        if self.count.fetch_add(1, SeqCst) > 0 {
            self.stir.fetch_sub(1, SeqCst);
        }
    }
}

/// So many wakes that none counts as the first any more.
const GIVEN_UP: usize = usize::MAX / 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_are_counted_until_they_are_taken() {
        let waker = CountingWaker::new();
        waker.waker.wake_by_ref();
        waker.waker.wake_by_ref();
        assert!(waker.is_woken());
        assert_eq!((waker.take(), waker.take()), (2, 0));
    }

    #[test]
    fn any_number_of_wakes_stirs_once_until_taken() {
        let stir = Arc::<AtomicUsize>::default();
        let waker = CountingWaker::stirring(Arc::clone(&stir));
        waker.waker.wake_by_ref();
        waker.waker.wake_by_ref();
        assert_eq!(stir.load(SeqCst), 1);
        waker.take();
        assert_eq!(stir.load(SeqCst), 0);
    }

    #[test]
    fn a_waker_that_is_given_up_stirs_no_more() {
        let stir = Arc::<AtomicUsize>::default();
        let waker = CountingWaker::stirring(Arc::clone(&stir));
        let kept = waker.waker.clone();
        kept.wake_by_ref();
        drop(waker);
        kept.wake_by_ref();
        assert_eq!(stir.load(SeqCst), 0);
    }
}
