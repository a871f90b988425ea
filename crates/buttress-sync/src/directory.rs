use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use crate::Mutex;

/// Finds a handle by its number, for calls that have not counted a reference to it.
///
/// Counting a reference is two locked instructions on a line that all calls share. A call that needs its handle only when something
/// has gone wrong carries its number instead, which costs nothing, and looks the handle up then, under a lock. A `static` for each
/// kind of handle; it holds nothing of those that are gone.
#[derive(Debug)]
pub struct Directory<T: ?Sized + 'static> {
    handles: LazyLock<Mutex<BTreeMap<u64, Weak<T>>>>,
    next: AtomicU64,
}

impl<T: ?Sized> Directory<T> {
    /// Knows nobody.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a static is made by a constant function"
    )]
    pub const fn new() -> Self {
        Self {
            handles: LazyLock::new(Mutex::default),
            next: AtomicU64::new(0),
        }
    }

    /// The next number, for a handle that is being made.
    pub fn number(&'static self) -> Entry<T> {
        Entry {
            directory: self,
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The handle of this number; nothing once it is gone, with everybody who could ask it for its figures.
    #[cold]
    #[must_use]
    pub fn find(&self, number: u64) -> Option<Arc<T>> {
        self.handles.lock().get(&number).and_then(Weak::upgrade)
    }
}

/// The number under which a handle is found, as long as it has this.
#[derive(Debug)]
pub struct Entry<T: ?Sized + 'static> {
    directory: &'static Directory<T>,
    number: u64,
}

impl<T: ?Sized> Entry<T> {
    /// The number.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Lets the handle be found, which is made now.
    pub fn enter(&self, handle: &Arc<T>) {
        let mut handles = self.directory.handles.lock();
        handles.insert(self.number, Arc::downgrade(handle));
    }
}

impl<T: ?Sized> Drop for Entry<T> {
    fn drop(&mut self) {
        self.directory.handles.lock().remove(&self.number);
    }
}

#[cfg(all(test, not(any(buttress_loom, buttress_shuttle))))]
mod tests {
    use super::*;

    struct Handle(Entry<Self>);

    static HANDLES: Directory<Handle> = Directory::new();

    #[test]
    fn a_handle_is_found_as_long_as_it_lives() {
        let [one, other] = [(), ()].map(|()| {
            let handle = Arc::new(Handle(HANDLES.number()));
            handle.0.enter(&handle);
            handle
        });
        let number = one.0.number();
        assert!(
            HANDLES
                .find(number)
                .is_some_and(|found| Arc::ptr_eq(&found, &one))
        );
        drop(one);
        assert!(HANDLES.find(number).is_none());
        assert!(
            !HANDLES.handles.lock().contains_key(&number),
            "and leaves nothing"
        );
        assert!(HANDLES.find(other.0.number()).is_some());
    }
}
