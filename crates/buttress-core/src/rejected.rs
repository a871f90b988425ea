use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{Again, Name, Verdict};

/// Says why a component of ours refused a call, by meaning and never by mechanism.
///
/// One table holds for every edge:
///
/// | reason | verdict | HTTP | gRPC |
/// |---|---|---|---|
/// | [`Overloaded`](Self::Overloaded) | `Neutral` | 503 | `RESOURCE_EXHAUSTED` |
/// | [`Unavailable`](Self::Unavailable) | `Neutral` | 503 | `UNAVAILABLE` |
/// | [`Throttled`](Self::Throttled) | `Neutral` | 429 | `RESOURCE_EXHAUSTED` |
/// | [`DeadlineExceeded`](Self::DeadlineExceeded) | `Neutral` | 504 | `DEADLINE_EXCEEDED` |
/// | [`TimedOut`](Self::TimedOut) | `Failure` | 504 | `DEADLINE_EXCEEDED` |
/// | [`Conflict`](Self::Conflict) | `Neutral` | 409 | `ABORTED` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// No slot was free, the queue was full, or the wait in it was over.
    Overloaded,
    /// A breaker is open, a health gate is shut, or the component was closed.
    Unavailable,
    /// A rate limit is spent.
    Throttled,
    /// The *caller's* deadline has passed or cannot be met.
    DeadlineExceeded,
    /// *Our own* timeout passed while the call ran. The only refusal that says something about the dependency.
    TimedOut,
    /// The idempotency key is in use by another call.
    Conflict,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 6] = [
        Self::Overloaded,
        Self::Unavailable,
        Self::Throttled,
        Self::DeadlineExceeded,
        Self::TimedOut,
        Self::Conflict,
    ];

    /// What a refusal for this reason tells about the dependency: nothing, unless it ran out of its time.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::TimedOut => Verdict::Failure,
            _ => Verdict::Neutral,
        }
    }

    /// Whether trying again at once makes sense: only after a timeout of ours.
    #[must_use]
    pub const fn again(self) -> Again {
        match self {
            Self::TimedOut => Again::Yes,
            _ => Again::No,
        }
    }

    /// The reason as one lower-case word, for logs and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::TimedOut => "timed-out",
            Self::Conflict => "conflict",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Refuses a call: which component, why, and when to come back.
///
/// The one error that buttress makes. It is `Copy` and 24 bytes, so that refusing costs no allocation and no reference
/// count, and it never carries data of a call. It fits into any error type that is [`Rejectable`](crate::Rejectable),
/// and [`find_rejection`](crate::find_rejection) finds it again behind other errors.
///
/// ```
/// use std::time::Duration;
/// use buttress_core::{Name, Reason, Rejected};
///
/// let rejected = Rejected::new(Reason::Unavailable, Name::new("inventory"))
///     .with_retry_after(Duration::from_millis(1500));
/// assert_eq!(rejected.reason(), Reason::Unavailable);
/// assert_eq!(rejected.retry_after(), Some(Duration::from_millis(1500)));
/// assert_eq!(rejected.to_string(), "inventory refused the call (unavailable), try again in 1.5s");
/// ```
// The wrapper exists for the sake of `source()`: a boxed error with a borrowed lifetime cannot be downcast, but its source
// can. So a rejection has itself, without the wrapper, as its source.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rejected(Refusal);

/// The part of a [`Rejected`] that stands in the chain of [`source`](Error::source)s, for `find_rejection` to meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    component: Name,
    // nanoseconds << 8 | reason: one word, and no padding.
    hint_and_reason: u64,
}

const REASON_BITS: u32 = 8;
const NO_HINT: u64 = u64::MAX >> REASON_BITS;
const LONGEST_HINT: u64 = NO_HINT - 1;

impl Rejected {
    /// Refuses for `reason`, in the name of `component`, without a time to come back.
    #[must_use]
    #[inline]
    pub const fn new(reason: Reason, component: Name) -> Self {
        Self(Refusal {
            component,
            hint_and_reason: NO_HINT << REASON_BITS | reason as u64,
        })
    }

    /// The same, saying when to come back. Times above 2.28 years are cut to that.
    #[must_use]
    #[inline]
    pub const fn with_retry_after(self, retry_after: Duration) -> Self {
        let nanos = retry_after.as_nanos();
        #[expect(clippy::cast_possible_truncation, reason = "what does not fit is cut")]
        let nanos = if nanos < LONGEST_HINT as u128 {
            nanos as u64
        } else {
            LONGEST_HINT
        };
        self.with_retry_after_nanos(nanos)
    }

    /// The same, for a component that counts in nanoseconds and refuses often.
    #[must_use]
    #[inline]
    pub const fn with_retry_after_nanos(self, nanos: u64) -> Self {
        let nanos = if nanos < LONGEST_HINT {
            nanos
        } else {
            LONGEST_HINT
        };
        let reason = self.0.hint_and_reason & ((1 << REASON_BITS) - 1);
        Self(Refusal {
            component: self.0.component,
            hint_and_reason: nanos << REASON_BITS | reason,
        })
    }

    /// Why the call was refused.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.0.reason()
    }

    /// Who refused it.
    #[must_use]
    pub const fn component(&self) -> Name {
        self.0.component
    }

    /// When trying again makes sense, counted from the refusal.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }
}

impl Refusal {
    /// The rejection that this is the inner part of.
    #[must_use]
    pub const fn rejected(&self) -> Rejected {
        Rejected(*self)
    }

    const fn reason(&self) -> Reason {
        const MASK: u64 = (1 << REASON_BITS) - 1;
        match self.hint_and_reason & MASK {
            0 => Reason::Overloaded,
            1 => Reason::Unavailable,
            2 => Reason::Throttled,
            3 => Reason::DeadlineExceeded,
            4 => Reason::TimedOut,
            _ => Reason::Conflict,
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self.hint_and_reason >> REASON_BITS {
            NO_HINT => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused the call ({})", self.component, self.reason())?;
        match self.retry_after() {
            Some(wait) => write!(f, ", try again in {wait:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("component", &self.component)
            .field("reason", &self.reason())
            .field("retry_after", &self.retry_after())
            .finish()
    }
}

impl Error for Refusal {}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Error for Rejected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name = Name::new("inventory");

    #[test]
    fn a_rejection_is_three_words() {
        assert_eq!(size_of::<Rejected>(), 24);
    }

    #[test]
    fn every_reason_and_every_hint_survive_the_packing() {
        let longest = Duration::from_nanos(LONGEST_HINT);
        for reason in Reason::ALL {
            assert_eq!(Rejected::new(reason, NAME).reason(), reason);
            assert_eq!(Rejected::new(reason, NAME).retry_after(), None);
            for (given, kept) in [
                (Duration::ZERO, Duration::ZERO),
                (Duration::from_nanos(1), Duration::from_nanos(1)),
                (longest, longest),
                (Duration::MAX, longest),
            ] {
                let rejected = Rejected::new(reason, NAME).with_retry_after(given);
                assert_eq!(
                    (rejected.reason(), rejected.retry_after()),
                    (reason, Some(kept))
                );
                assert_eq!(rejected.component(), NAME);
            }
        }
    }

    #[test]
    fn only_our_own_timeout_counts_against_the_dependency() {
        for reason in Reason::ALL {
            let expected = match reason {
                Reason::TimedOut => (Verdict::Failure, Again::Yes),
                _ => (Verdict::Neutral, Again::No),
            };
            assert_eq!((reason.verdict(), reason.again()), expected);
        }
    }
}
