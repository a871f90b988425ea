use std::fmt;
use std::time::Duration;

use crate::Trail;

/// What an answer of a chain comes from, in the order in which the chain asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the order of a chain is the promise"
)]
#[repr(u8)]
pub enum Level {
    /// The service itself.
    Primary,
    /// Another that can do the same.
    Replica,
    /// Answers that several processes keep together.
    DistributedCache,
    /// Answers that this process keeps.
    LocalCache,
    /// A service that can do something like it.
    Backup,
    /// What is better than no answer.
    Default,
}

impl Level {
    /// Every level, the first of a chain first.
    pub const ALL: [Self; 6] = [
        Self::Primary,
        Self::Replica,
        Self::DistributedCache,
        Self::LocalCache,
        Self::Backup,
        Self::Default,
    ];

    /// The level in lower-case words with hyphens, for headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::DistributedCache => "distributed-cache",
            Self::LocalCache => "local-cache",
            Self::Backup => "backup",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says which level of a chain has answered, and what became of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by the chain, read by the edge: they must agree on every field"
)]
pub struct ServedBy {
    /// The level that has answered.
    pub level: Level,
    /// Its place in the chain, the primary's being 0.
    pub place: u8,
    /// Whether the answer is less than what was asked for: of no primary, nor one kept that is still fresh.
    pub degraded: bool,
    /// How old an answer is that was kept.
    pub age: Option<Duration>,
    /// The levels that were asked in vain, in the order in which they were asked.
    pub errors: Trail,
}
