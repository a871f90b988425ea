use std::collections::VecDeque;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use buttress_core::{Error, Widen, WidenFuture};
use buttress_testkit::{Live, Probe, ProbeFuture};
use tower::Service;

use super::journal::{Event, Journal};

/// A probe whose readiness may lapse, and whose instances are numbered.
#[derive(Debug)]
pub(super) struct Fickle {
    inner: Widen<Probe<Live, io::Error>>,
    number: usize,
    instances: Arc<AtomicUsize>,
    moods: Moods,
    journal: Journal,
}

/// What polls of readiness find, all instances together; when there is nothing left, what the probe says.
#[derive(Clone, Debug, Default)]
pub(super) struct Moods(Arc<Mutex<VecDeque<Mood>>>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Mood {
    /// Pending; the poll wakes itself.
    Pending,
    Fails,
    Panics,
}

impl Moods {
    pub(super) fn then<const N: usize>(&self, moods: [Mood; N]) {
        self.0.lock().unwrap().extend(moods);
    }

    fn next(&self) -> Option<Mood> {
        self.0.lock().unwrap().pop_front()
    }
}

impl Fickle {
    pub(super) fn new(probe: Probe<Live, io::Error>, moods: Moods, journal: Journal) -> Self {
        Self {
            inner: Widen::new(probe),
            number: 0,
            instances: Arc::new(AtomicUsize::new(1)),
            moods,
            journal,
        }
    }
}

impl Clone for Fickle {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            number: self.instances.fetch_add(1, Relaxed),
            instances: Arc::clone(&self.instances),
            moods: self.moods.clone(),
            journal: self.journal.clone(),
        }
    }
}

impl Drop for Fickle {
    fn drop(&mut self) {
        self.journal.note(Event::Dropped(self.number));
    }
}

impl Service<u32> for Fickle {
    type Response = Live;
    type Error = Error<io::Error>;
    type Future = WidenFuture<ProbeFuture<Live, io::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.journal.note(Event::Polled(self.number));
        match self.moods.next() {
            None => Service::<u32>::poll_ready(&mut self.inner, cx),
            Some(Mood::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Mood::Fails) => {
                Poll::Ready(Err(Error::Inner(io::Error::other("readiness is lost"))))
            }
            Some(Mood::Panics) => resume_unwind(Box::new("the readiness")),
        }
    }

    fn call(&mut self, marks: u32) -> Self::Future {
        self.journal.note(Event::Called(self.number, marks));
        self.inner.call(marks)
    }
}
