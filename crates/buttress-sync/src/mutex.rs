#[cfg(buttress_loom)]
use loom::sync as imp;
#[cfg(buttress_shuttle)]
use shuttle::sync as imp;
#[cfg(not(any(buttress_loom, buttress_shuttle)))]
use std::sync as imp;

/// Guards state that is touched off the hot path.
///
/// Ignores poison: what it guards is changed by code of ours that does not panic half-way, and a panic elsewhere must not take
/// every later call with it. Under `--cfg buttress_loom` it is loom's, under
/// `--cfg buttress_shuttle` shuttle's.
#[derive(Debug, Default)]
#[expect(
    clippy::disallowed_types,
    reason = "this is the one helper around std's mutex"
)]
pub struct Mutex<T>(imp::Mutex<T>);

/// Unlocks a [`Mutex`] when dropped.
pub type MutexGuard<'a, T> = imp::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// Guards `value`.
    #[expect(
        clippy::disallowed_types,
        reason = "this is the one helper around std's mutex"
    )]
    pub fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    /// Waits for the lock, whatever happened to those who held it before.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(all(test, not(any(buttress_loom, buttress_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_under_the_lock_leaves_it_usable() {
        let mutex = Mutex::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = mutex.lock();
            panic!("under the lock");
        }));
        assert!(panicked.is_err());
        *mutex.lock() += 1;
        assert_eq!(*mutex.lock(), 2);
    }
}
