use buttress_keyed::Owner;

use crate::state::Receipt;

/// What was taken, and from which machine: it goes back there, and nowhere else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) receipt: Receipt,
    origin: Origin,
}

/// A machine among all that there ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin(u64);

impl Origin {
    /// The one that keys share for which there is no room.
    pub(super) const SHARED: Self = Self(0);
    /// That of the key, where it does not matter whether it has been forgotten meanwhile.
    pub(super) const OWN: Self = Self(1);

    /// That of a key, by its number among all that were made for keys. Sixty-four bits do not run over.
    pub(super) const fn numbered(number: u64) -> Self {
        Self(number.wrapping_add(1))
    }

    #[inline]
    pub(super) const fn of(owner: Owner) -> Self {
        match owner {
            Owner::Key => Self::OWN,
            Owner::All => Self::SHARED,
        }
    }
}

impl Taken {
    #[inline]
    pub(super) const fn new(receipt: Receipt, origin: Origin) -> Self {
        Self { receipt, origin }
    }

    pub(super) fn is_shared(self) -> bool {
        self.origin == Origin::SHARED
    }

    pub(super) fn is_from(self, origin: Origin) -> bool {
        self.origin == origin
    }
}
