/// Is told what happens in a component: transitions and refusals, as they come.
///
/// Counts are not pushed; they stand in a handle's `snapshot()`. Any `Fn(&Event)` closure is an observer.
///
/// It runs on the task that caused the event, after every lock of the component is released, so it may use the handle; it
/// must not block, and it should not panic: a panic goes to that task.
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
