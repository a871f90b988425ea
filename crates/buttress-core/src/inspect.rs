use std::time::{Duration, SystemTime};

use crate::Name;

/// Shows a component to whoever watches over many: a registry, a health check, a console.
///
/// Implemented by handles. Looking takes no lock that an ordinary call waits for; it may take one that a breaker's probes and
/// transitions use, for as long as it takes to copy a few numbers.
pub trait Inspect: Send + Sync {
    /// The component's name.
    fn name(&self) -> Name;

    /// What kind of component it is, in the plural and with underscores, as the statistics group them:
    /// `circuit_breakers`, `bulkheads`.
    fn kind(&self) -> &'static str;

    /// Whether calls get through, in one word.
    fn condition(&self) -> Condition;

    /// The component's figures, in a fixed order and under fixed names.
    fn facts(&self) -> Vec<Fact>;
}

/// Whether calls get through a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a traffic light has three colours")]
pub enum Condition {
    /// All do.
    Up,
    /// Some do.
    Degraded,
    /// None do.
    Down,
}

/// One figure of a component: its name and its value.
pub type Fact = (&'static str, Value);

/// The value of a [`Fact`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number of things: a gauge, or a counter that only grows.
    Count(u64),
    /// A share or a percentage.
    Number(f64),
    /// Whether something is so.
    Flag(bool),
    /// One of a closed set of words.
    Word(&'static str),
    /// What nobody knows, or not yet.
    Unknown,
    /// A length of time.
    Duration(Duration),
    /// A moment, for display only; `None` when it has not happened.
    Time(Option<SystemTime>),
}
