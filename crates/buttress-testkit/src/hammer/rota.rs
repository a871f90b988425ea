use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use crate::waker::CountingWaker;

/// Knows when nothing can happen any more: no thread has a task to step, and no wake is on its way.
pub(super) struct Rota {
    /// Threads on duty, and wakes that no thread has seen yet. One number for both, so that a wake
    /// handed from a thread that goes to rest to one that gets up never lets it touch zero.
    stir: Arc<AtomicUsize>,
    start: Barrier,
}

impl Rota {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            stir: Arc::new(AtomicUsize::new(threads)),
            start: Barrier::new(threads),
        }
    }

    /// Takes up the calling thread's duty, once all threads have come.
    pub(super) fn go_on_duty(&self) -> Duty<'_> {
        self.start.wait();
        Duty(self)
    }
}

/// One thread's duty; ends with it, however that ends.
pub(super) struct Duty<'a>(&'a Rota);

impl Duty<'_> {
    pub(super) fn waker(&self) -> CountingWaker {
        CountingWaker::stirring(Arc::clone(&self.0.stir))
    }

    /// Waits until one of the thread's tasks is woken; `false` when none ever will be.
    pub(super) fn rest(&self, is_woken: impl Fn() -> bool) -> bool {
        self.0.stir.fetch_sub(1, SeqCst);
        let mut stirs = true;
        while stirs && !is_woken() {
            thread::yield_now();
            stirs = self.0.stir.load(SeqCst) > 0;
        }
        self.0.stir.fetch_add(1, SeqCst);
        stirs
    }
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        self.0.stir.fetch_sub(1, SeqCst);
    }
}
