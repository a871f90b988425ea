use std::time::Duration;

use buttress_core::Verdict;

use crate::config::Config;

/// What a settled call says to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It went well, perhaps too slowly.
    Success { slow: bool },
    /// It failed, perhaps slowly too; an overloaded dependency may have said how long to stay away.
    Failure { slow: bool, hint: Option<Duration> },
    /// Nobody waited for its end, and it had already run past the limit for slow calls.
    AbandonedSlow,
    /// It says nothing.
    Nothing,
}

impl Outcome {
    /// What a verdict means under this configuration.
    pub(crate) const fn of(verdict: Verdict, slow: bool, config: &Config) -> Self {
        match verdict {
            Verdict::Success => Self::Success { slow },
            Verdict::Failure => Self::Failure { slow, hint: None },
            Verdict::Overloaded { retry_after } if !config.ignore_overload => Self::Failure {
                slow,
                hint: retry_after,
            },
            Verdict::Throttled { retry_after } if config.count_throttled => Self::Failure {
                slow,
                hint: retry_after,
            },
            _ => Self::Nothing,
        }
    }

    /// What a call means that was dropped before its end was known.
    pub(crate) const fn of_abandoned(slow: bool, config: &Config) -> Self {
        if config.drops_as_failures {
            Self::Failure { slow, hint: None }
        } else if slow {
            Self::AbandonedSlow
        } else {
            Self::Nothing
        }
    }

    pub(crate) const fn failed(self) -> bool {
        matches!(self, Self::Failure { .. })
    }

    pub(crate) const fn slow(self) -> bool {
        match self {
            Self::Success { slow } | Self::Failure { slow, .. } => slow,
            Self::AbandonedSlow => true,
            Self::Nothing => false,
        }
    }

    /// How long the dependency asked to be left alone.
    pub(crate) const fn hint(self) -> Option<Duration> {
        match self {
            Self::Failure { hint, .. } => hint,
            _ => None,
        }
    }
}
