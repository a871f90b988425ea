use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use buttress_sync::Mutex;

/// What stands in a queue for a call: its task, to be woken when something is due, and its fate, once that is sealed.
///
/// Wakers are cloned, dropped and woken without the lock: they are not ours.
pub struct Letter<F>(Mutex<Content<F>>);

struct Content<F> {
    task: Option<Waker>,
    fate: Option<F>,
}

impl<F: Copy> Letter<F> {
    /// Without a task, nobody is woken.
    #[must_use]
    pub fn new(task: Option<Waker>) -> Self {
        Self(Mutex::new(Content { task, fate: None }))
    }

    /// Remembers whom to wake.
    pub fn remember(&self, task: &Waker) {
        let is_known = |known: &Waker| known.will_wake(task);
        if self.0.lock().task.as_ref().is_some_and(is_known) {
            return;
        }
        let task = Some(task.clone());
        let old = mem::replace(&mut self.0.lock().task, task);
        drop(old);
    }

    /// Wakes the task that was remembered last, once.
    pub fn wake(&self) {
        let task = self.0.lock().task.take();
        // A panic in it must not keep others from being woken: it is none of theirs, nor of whoever comes by.
        if let Some(task) = task {
            let _ = catch_unwind(AssertUnwindSafe(|| task.wake()));
        }
    }

    /// Says what became of its call; wakes nobody.
    pub fn seal(&self, fate: F) {
        self.0.lock().fate = Some(fate);
    }

    /// What became of its call.
    #[must_use]
    pub fn fate(&self) -> Option<F> {
        self.0.lock().fate
    }
}

impl<F: Copy + fmt::Debug> fmt::Debug for Letter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Letter").field(&self.fate()).finish()
    }
}

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell {
        rung: AtomicU32,
        broken: bool,
    }

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.rung.fetch_add(1, SeqCst);
            assert!(!self.broken, "as asked");
        }
    }

    #[test]
    fn the_task_that_was_remembered_last_is_woken_and_once() {
        let (first, last) = (Arc::<Bell>::default(), Arc::<Bell>::default());
        let letter = Letter::<()>::new(Some(first.clone().into()));
        letter.remember(&last.clone().into());
        letter.remember(&last.clone().into());
        letter.wake();
        letter.wake();
        assert_eq!((first.rung.load(SeqCst), last.rung.load(SeqCst)), (0, 1));
        assert_eq!(Arc::strong_count(&last), 1, "the waker is gone, too");
    }

    #[test]
    fn a_panic_of_a_waker_is_kept_in() {
        let bell = Arc::new(Bell {
            broken: true,
            ..Bell::default()
        });
        let letter = Letter::<()>::new(Some(bell.clone().into()));
        letter.wake();
        assert_eq!(bell.rung.load(SeqCst), 1);
    }

    #[test]
    fn a_fate_is_there_once_it_is_sealed() {
        let letter = Letter::new(None);
        assert_eq!(letter.fate(), None);
        letter.seal(7);
        letter.wake();
        assert_eq!(letter.fate(), Some(7));
    }
}
