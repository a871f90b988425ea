use std::fmt;

/// What a [`Probe`](crate::Probe) does in one turn: how it gets ready, how often its call suspends,
/// and how the call ends.
///
/// # Examples
///
/// ```
/// use buttress_testkit::{Ending, Readiness, Script};
///
/// let script = Script::new(Ending::PanicInPoll)
///     .readiness(Readiness::After(1))
///     .suspensions(2);
/// assert_eq!(script.to_string(), "ready after 1 poll, 2 suspensions, panic in poll");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    pub(crate) readiness: Readiness,
    pub(crate) suspensions: u32,
    pub(crate) ending: Ending,
    pub(crate) waking: Waking,
}

impl Script {
    /// Ready at once, no suspension, then `ending`; each pending poll wakes itself.
    #[must_use]
    pub const fn new(ending: Ending) -> Self {
        Self {
            readiness: Readiness::AtOnce,
            suspensions: 0,
            ending,
            waking: Waking::Itself,
        }
    }

    /// Chooses how the service reports its readiness.
    #[must_use]
    pub const fn readiness(self, readiness: Readiness) -> Self {
        Self { readiness, ..self }
    }

    /// Lets the call's future be pending this many times before it ends.
    #[must_use]
    pub const fn suspensions(self, suspensions: u32) -> Self {
        Self {
            suspensions,
            ..self
        }
    }

    /// Lets pending polls stay pending until [`Controls::release`](crate::Controls::release).
    #[must_use]
    pub const fn by_hand(self) -> Self {
        Self {
            waking: Waking::ByHand,
            ..self
        }
    }
}

/// A call that succeeds at once.
impl Default for Script {
    fn default() -> Self {
        Self::new(Ending::Ok)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suspensions = match self.suspensions {
            0 => "no suspension".into(),
            1 => "1 suspension".into(),
            more => format!("{more} suspensions"),
        };
        write!(f, "{}, {suspensions}, {}", self.readiness, self.ending)
    }
}

/// How an inner service answers `poll_ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// Ready at the first poll.
    AtOnce,
    /// Pending this many times, then ready.
    After(u32),
    /// Pending for ever; nobody is woken.
    Never,
    /// An error.
    Fails,
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce => f.write_str("ready at once"),
            Self::After(1) => f.write_str("ready after 1 poll"),
            Self::After(polls) => write!(f, "ready after {polls} polls"),
            Self::Never => f.write_str("never ready"),
            Self::Fails => f.write_str("readiness fails"),
        }
    }
}

/// How a call ends, once its suspensions are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// With a response.
    Ok,
    /// With an error.
    Err,
    /// With a panic in `call`, before there is a future.
    PanicInCall,
    /// With a panic in the future's `poll`.
    PanicInPoll,
    /// Never: the future stays pending and nobody is woken.
    Hang,
}

impl Ending {
    /// Every ending there is.
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Err,
        Self::PanicInCall,
        Self::PanicInPoll,
        Self::Hang,
    ];
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Err => "error",
            Self::PanicInCall => "panic in call",
            Self::PanicInPoll => "panic in poll",
            Self::Hang => "hang",
        })
    }
}

/// Who ends a pending poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waking {
    /// The poll itself: it wakes its task before it returns.
    Itself,
    /// The test, through `Controls::release`.
    ByHand,
}
