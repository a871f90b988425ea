//! The rate of all keys, for whoever comes while it changes.

use buttress_sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[cfg(all(test, buttress_loom))]
mod loom_tests;

/// A limit and a width that are read as one, without a lock, while others take their place.
///
/// A version stands for each; the cell of the next one is written before it is in force. A reader that meets the version after
/// its own has read what may have changed under its eyes, and reads again.
pub(super) struct Published {
    version: AtomicU64,
    cells: [Cell; 2],
}

struct Cell {
    limit: AtomicU32,
    width: AtomicU64,
}

/// What was in force together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edition {
    pub(super) version: u64,
    pub(super) limit: u32,
    pub(super) width: u64,
}

impl Published {
    pub(super) fn new(limit: u32, width: u64) -> Self {
        let cell = || Cell {
            limit: AtomicU32::new(limit),
            width: AtomicU64::new(width),
        };
        Self {
            version: AtomicU64::new(0),
            cells: [cell(), cell()],
        }
    }

    /// What a copy is compared with, to be read again when it is of another version.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn read(&self) -> Edition {
        loop {
            let version = self.version();
            // Acquire: who reads the value of a later version also sees that this one is over.
            let cell = self.cell(version);
            let (limit, width) = (
                cell.limit.load(Ordering::Acquire),
                cell.width.load(Ordering::Acquire),
            );
            if self.version() == version {
                return Edition {
                    version,
                    limit,
                    width,
                };
            }
        }
    }

    /// Puts others in their place; must not run twice at once.
    pub(super) fn publish(&self, limit: u32, width: u64) {
        let next = self.version().wrapping_add(1);
        let cell = self.cell(next);
        cell.limit.store(limit, Ordering::Release);
        cell.width.store(width, Ordering::Release);
        self.version.store(next, Ordering::Release);
    }

    const fn cell(&self, version: u64) -> &Cell {
        let [even, odd] = &self.cells;
        if version.is_multiple_of(2) { even } else { odd }
    }
}
