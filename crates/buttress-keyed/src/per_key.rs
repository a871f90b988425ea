use buttress_core::Rejected;

/// A handle of which there can be one for each key.
pub trait PerKey: Clone + Send + Sync + 'static {
    /// Whether the handle may be forgotten: nobody else has it or a permit of it, and it is indistinguishable from a new one.
    ///
    /// Asked under the lock under which the handle is cloned, so a count of references that is one stays one meanwhile. What those
    /// have written who have let go of it must be seen: [`is_held_once`] does that for an `Arc`.
    fn is_idle(&self) -> bool;

    /// What a request gets that has no key.
    fn without_key(&self) -> Rejected;
}

/// Whether this is the only reference; then all is seen that others have written before they dropped theirs.
pub fn is_held_once<T: ?Sized>(handle: &std::sync::Arc<T>) -> bool {
    let once = std::sync::Arc::strong_count(handle) == 1;
    // The count is read relaxed. What others did before they gave their reference back comes before what follows.
    std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
    once
}
