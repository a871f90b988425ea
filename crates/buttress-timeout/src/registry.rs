//! Where a call finds its handle without having counted a reference to it.
//!
//! A call under a fixed limit needs its handle only to say that it was cut. So it carries a number, which costs nothing, and looks
//! the handle up then: under a lock, which only calls that are cut take.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use buttress_sync::Mutex;

use crate::shared::Shared;

static HANDLES: LazyLock<Mutex<BTreeMap<u64, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// The number under which a handle is found, as long as it lives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry(u64);

impl Entry {
    /// Takes the next number.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) const fn number(&self) -> u64 {
        self.0
    }

    /// Lets the handle be found.
    pub(crate) fn enter(&self, handle: &Arc<Shared>) {
        HANDLES.lock().insert(self.0, Arc::downgrade(handle));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        HANDLES.lock().remove(&self.0);
    }
}

/// The handle of this number; nothing once it is gone, with everybody who could ask it for its figures.
pub(crate) fn find(number: u64) -> Option<Arc<Shared>> {
    HANDLES.lock().get(&number).and_then(Weak::upgrade)
}

#[cfg(test)]
mod tests {
    use crate::AdaptiveTimeout;

    use super::*;

    #[test]
    fn a_handle_is_found_as_long_as_it_lives() {
        let timeout = AdaptiveTimeout::fixed(std::time::Duration::from_secs(1));
        let number = timeout.0.entry.number();
        assert!(find(number).is_some_and(|found| Arc::ptr_eq(&found, &timeout.0)));
        drop(timeout);
        assert!(find(number).is_none());
        assert!(!HANDLES.lock().contains_key(&number), "and leaves nothing");
    }
}
