use std::borrow::Cow;
use std::fmt;

/// Says which setting of a component makes no sense, and why.
///
/// Returned by every `try_build()`; `build()` panics with the same words at the caller's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    problem: Cow<'static, str>,
}

impl ConfigError {
    /// Describes what is wrong with `setting`. The problem reads on from the setting's name: "must be above zero".
    #[must_use]
    pub fn new(setting: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            setting,
            problem: problem.into(),
        }
    }

    /// The setting at fault, named as the builder's method is.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.setting, self.problem)
    }
}

impl std::error::Error for ConfigError {}
