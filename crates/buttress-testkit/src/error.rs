use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::resume_unwind;

/// The failure that a probe's script asked for, with the turn it was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeError {
    pub(crate) turn: u64,
}

impl ProbeError {
    /// The turn whose script failed; the first is 0.
    #[must_use]
    pub const fn turn(self) -> u64 {
        self.turn
    }

    /// Whether `error` is a probe's failure, wraps one, or prints as one.
    ///
    /// Text counts because transparent wrappers leave themselves out of the chain of sources.
    #[must_use]
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        let mut link = Some(error);
        while let Some(error) = link {
            if error.is::<Self>() || error.to_string().contains(SENTENCE) {
                return true;
            }
            link = error.source();
        }
        false
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SENTENCE} {}", self.turn)
    }
}

impl Error for ProbeError {}

const SENTENCE: &str = "the probe failed in turn";

/// The payload of the panics that a probe's script asked for.
///
/// Such a panic unwinds as any other but bypasses the panic hook, so a million of them print nothing
/// and no global hook is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScriptedPanic;

impl ScriptedPanic {
    /// Whether a caught panic is one that a script asked for.
    #[must_use]
    pub fn is(payload: &(dyn Any + Send)) -> bool {
        payload.is::<Self>()
    }

    pub(crate) fn raise() -> ! {
        resume_unwind(Box::new(Self))
    }
}
