//! The levels below an upstream itself, by which the protected gateway answers when it fails.

use std::iter::Sum;

use http::HeaderMap;
use serde::Serialize;

/// Whence a degraded answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Another process of the same kind.
    Replica,
    /// What the gateway has kept of earlier answers.
    LocalCache,
    /// What is better than no answer.
    Default,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::Replica, Self::LocalCache, Self::Default];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::LocalCache => "cache",
            Self::Default => "default",
        }
    }

    /// The level as headers name it.
    const fn word(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::LocalCache => "local-cache",
            Self::Default => "default",
        }
    }

    /// The level that an answer says it comes from.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let named = headers.get("x-degraded-level")?.as_bytes();
        let mut all = Self::ALL.into_iter();
        all.find(|level| level.word().as_bytes() == named)
    }
}

/// How many answers came from each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Degraded {
    pub replica: usize,
    pub local_cache: usize,
    pub default: usize,
}

impl Degraded {
    pub const fn of(&self, level: Level) -> usize {
        match level {
            Level::Replica => self.replica,
            Level::LocalCache => self.local_cache,
            Level::Default => self.default,
        }
    }

    pub const fn count(&mut self, level: Level) {
        *match level {
            Level::Replica => &mut self.replica,
            Level::LocalCache => &mut self.local_cache,
            Level::Default => &mut self.default,
        } += 1;
    }

    /// All of them.
    pub const fn total(&self) -> usize {
        self.replica + self.local_cache + self.default
    }

    pub const fn plus(self, other: Self) -> Self {
        Self {
            replica: self.replica + other.replica,
            local_cache: self.local_cache + other.local_cache,
            default: self.default + other.default,
        }
    }
}

impl Sum for Degraded {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::plus)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn named(word: &'static str) -> Option<Level> {
        let mut headers = HeaderMap::new();
        headers.insert("x-degraded-level", HeaderValue::from_static(word));
        Level::of(&headers)
    }

    #[test]
    fn a_level_is_known_by_the_word_that_buttress_writes() {
        use buttress::core::Level as Written;
        for (level, written) in [
            (Level::Replica, Written::Replica),
            (Level::LocalCache, Written::LocalCache),
            (Level::Default, Written::Default),
        ] {
            assert_eq!(named(written.as_str()), Some(level));
        }
        assert_eq!(named("backup"), None);
        assert_eq!(Level::of(&HeaderMap::new()), None);
    }

    #[test]
    fn answers_of_each_level_add_up() {
        let mut degraded = Degraded::default();
        for level in [Level::Replica, Level::Default, Level::Replica] {
            degraded.count(level);
        }
        assert_eq!(Level::ALL.map(|level| degraded.of(level)), [2, 0, 1]);
        let both: Degraded = [degraded, degraded].into_iter().sum();
        assert_eq!((both.total(), both.replica), (6, 4));
    }
}
