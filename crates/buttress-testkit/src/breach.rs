use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::ScriptedPanic;

/// A promise that a layer did not keep: which check met it, and what was seen.
///
/// `Debug` prints the sentence too, so that a `#[test]` may simply return it.
#[derive(Clone, PartialEq, Eq)]
pub struct Breach {
    check: &'static str,
    seen: String,
}

impl Breach {
    /// The name of the check that met it.
    #[must_use]
    pub const fn check(&self) -> &'static str {
        self.check
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.seen)
    }
}

impl fmt::Debug for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Breach {}

/// What a check found: nothing, or a sentence about what it saw.
pub(crate) type Finding = Result<(), String>;

/// Runs a check and gives what it finds the check's name; a panic is a finding too.
pub(crate) fn examine(check: &'static str, look: impl FnOnce() -> Finding) -> Result<(), Breach> {
    attempt(look).map_err(|seen| Breach { check, seen })
}

/// Makes a finding of a panic.
pub(crate) fn attempt<T>(look: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|panic| Err(told_by(&*panic)))
}

pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Finding {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn told_by(panic: &(dyn Any + Send)) -> String {
    if ScriptedPanic::is(panic) {
        return "a panic of the inner service came out where none was due".into();
    }
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").into()
}
