use std::fmt;
use std::time::Duration;

use crate::{Asking, ReplayMemory};

/// How an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by a protocol, read by caches: they must agree on every field"
)]
pub struct Keep {
    /// How many bytes it takes.
    pub bytes: usize,
    /// How old it is already.
    pub age: Duration,
    /// How young it must be to be given to a request for which nobody was asked.
    pub fresh: Duration,
    /// How old it may get.
    pub longest: Duration,
}

impl Keep {
    /// An answer that was made now, and is fresh, and gets old, for as long as caches let it.
    #[must_use]
    pub const fn of(bytes: usize) -> Self {
        Self {
            bytes,
            age: Duration::ZERO,
            fresh: Duration::MAX,
            longest: Duration::MAX,
        }
    }
}

type Hand<V> = Box<dyn FnOnce(Option<(V, Keep)>) + Send + Sync>;

/// Takes in what is to be kept of an answer, or that nothing is; dropped where what was kept before stays.
pub struct Keeper<V> {
    hand: Hand<V>,
    asking: Asking,
    room: Room,
}

/// What is taken of the memory for answers that are on their way.
struct Room {
    memory: ReplayMemory,
    taken: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.memory.give_back(self.taken);
    }
}

impl<V> Keeper<V> {
    /// Hands what is kept to `hand`, or nothing where the answer before is to be forgotten. What is copied until then counts in `memory`.
    pub fn new(
        asking: Asking,
        memory: ReplayMemory,
        hand: impl FnOnce(Option<(V, Keep)>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            hand: Box::new(hand),
            asking,
            room: Room { memory, taken: 0 },
        }
    }

    /// What the request said.
    #[must_use]
    pub const fn asking(&self) -> &Asking {
        &self.asking
    }

    /// Takes room for so many bytes more of an answer that goes by, if there is any. It is given back with the keeper.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        let is_there = self.room.memory.take(bytes);
        if is_there {
            self.room.taken = self.room.taken.saturating_add(bytes);
        }
        is_there
    }

    /// Keeps this.
    pub fn keep(self, value: V, keep: Keep) {
        (self.hand)(Some((value, keep)));
    }

    /// Forgets the answer before, which is outdated, where there is one.
    pub fn forget(self) {
        (self.hand)(None);
    }
}

impl<V> fmt::Debug for Keeper<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("asking", &self.asking)
            .field("taken", &self.room.taken)
            .finish_non_exhaustive()
    }
}
