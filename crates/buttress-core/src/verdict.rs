use std::time::Duration;

/// Says what the end of a call tells about the health of the dependency.
///
/// Every component reads the same word: a breaker counts [`Failure`](Self::Failure), an adaptive limit backs off on
/// [`Overloaded`](Self::Overloaded), nobody counts [`Neutral`](Self::Neutral). Whether trying again makes sense is
/// another question, answered by [`Again`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The dependency did its work, also when it said "no such order".
    Success,
    /// The dependency failed to do its work.
    Failure,
    /// The dependency has too much to do, for everybody.
    Overloaded {
        /// How long the dependency asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The dependency is well; *our* quota is spent.
    Throttled {
        /// When the quota is there again.
        retry_after: Option<Duration>,
    },
    /// The call says nothing about the dependency: nobody waited for the end, or it was refused on our side.
    #[default]
    Neutral,
}

impl Verdict {
    /// How long the dependency asked to be left alone, when it did.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after } | Self::Throttled { retry_after } => retry_after,
            Self::Success | Self::Failure | Self::Neutral => None,
        }
    }
}

/// Says whether trying the same call again makes sense, apart from whether the request may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Again {
    /// No: the same would come back.
    No,
    /// Yes, after the caller's own back-off.
    Yes,
    /// Yes, but not before this time has passed, where the dependency named one.
    Later(Option<Duration>),
    /// Yes, and safely so for every request: the dependency never saw this one.
    NotSent,
}

impl From<Verdict> for Again {
    /// What follows from a verdict alone: failures again, overload and throttling later, anything else not.
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Failure => Self::Yes,
            Verdict::Overloaded { retry_after } | Verdict::Throttled { retry_after } => {
                Self::Later(retry_after)
            }
            Verdict::Success | Verdict::Neutral => Self::No,
        }
    }
}
