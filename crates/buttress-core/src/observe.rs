use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// Is told what happens in a component: transitions and refusals, as they come.
///
/// Counts are not pushed; they stand in a handle's `snapshot()`. Any `Fn(&Event)` closure is an observer.
///
/// It runs where the event is caused, mostly on the task of the call, sometimes inside of a timer, after every lock of the component
/// is released, so it may use the handle; it must not block, and should not make the component do what it is told of, or it is told
/// of that, too. A panic in it goes to that task, unless the task is panicking already, or the event is about another call: then it
/// is swallowed.
pub trait Observer<Event>: Send + Sync + 'static {
    /// Takes note of `event`.
    fn observe(&self, event: &Event);
}

impl<F, Event> Observer<Event> for F
where
    F: Fn(&Event) + Send + Sync + 'static,
{
    fn observe(&self, event: &Event) {
        self(event);
    }
}

/// The observer of a component, if it has one.
pub struct Listener<Event>(Option<Box<dyn Observer<Event>>>);

impl<Event: 'static> Listener<Event> {
    /// Nobody.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// This observer.
    pub fn new(observer: impl Observer<Event>) -> Self {
        Self(Some(Box::new(observer)))
    }

    /// Whether there is anybody to tell.
    #[inline]
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Tells the observer of what happened to another call than that of the task that tells it, or to none: a panic in it is
    /// swallowed, as it would hit somebody who has no part in it.
    pub fn tell_contained(&self, event: &Event) {
        if let Some(observer) = &self.0 {
            let _ = catch_unwind(AssertUnwindSafe(|| observer.observe(event)));
        }
    }

    /// Tells the observer. A permit may be settled while a task unwinds: a second panic would end the process there.
    pub fn tell(&self, event: &Event) {
        match &self.0 {
            None => {}
            Some(observer) if thread::panicking() => {
                let _ = catch_unwind(AssertUnwindSafe(|| observer.observe(event)));
            }
            Some(observer) => observer.observe(event),
        }
    }
}

impl<Event: 'static> Default for Listener<Event> {
    fn default() -> Self {
        Self::none()
    }
}

impl<Event: 'static> fmt::Debug for Listener<Event> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.is_there()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TellsWhenDropped<'a>(&'a Listener<u32>);

    impl Drop for TellsWhenDropped<'_> {
        fn drop(&mut self) {
            self.0.tell(&1);
        }
    }

    #[test]
    fn a_second_panic_does_not_end_the_process() {
        let listener = Listener::new(|_: &u32| panic!("the observer's"));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _told_on_the_way = TellsWhenDropped(&listener);
            panic!("the task's");
        }));
        let payload = panicked.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the task's"));
        assert!(
            catch_unwind(AssertUnwindSafe(|| listener.tell(&1))).is_err(),
            "it goes to the task"
        );
    }
}
