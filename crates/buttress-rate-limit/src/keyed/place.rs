//! Where a call has taken its units from.

use crate::state::Receipt;

/// Whose limit units were taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The key's own, in this life of it.
    Own(u64),
    /// That of the keys for which there is no room, and of calls without a key.
    Shared,
}

/// What a call has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) receipt: Receipt,
    pub(super) place: Place,
}

/// The same for later: with the key, where it is the key's own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Home<K> {
    Own(K, u64),
    Shared,
}

impl<K> Home<K> {
    #[inline]
    pub(super) fn new(key: K, place: Place) -> Self {
        match place {
            Place::Own(life) => Self::Own(key, life),
            Place::Shared => Self::Shared,
        }
    }
}
