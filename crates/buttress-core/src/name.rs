use std::fmt;

use crate::ConfigError;

/// Names a component in refusals, events, statistics and logs.
///
/// At most [`MAX_LEN`](Self::MAX_LEN) bytes out of `a-z`, `0-9`, `_`, `.` and `-`; a builder checks that. A name is one
/// pointer to a string that lives as long as the program, so that a refusal can carry it without counting references.
/// Names that are only known at run time are interned by `buttress_sync::intern`, in a table with an upper bound.
///
/// ```
/// use buttress_core::Name;
///
/// assert_eq!(Name::new("orders-db").as_str(), "orders-db");
/// assert!(Name::new("orders-db").validate().is_ok());
/// assert!(Name::new("Orders DB").validate().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(&'static str);

impl Name {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Takes a string as a name, without checking it.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name as a string.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Tells whether this can be the name of a component.
    ///
    /// # Errors
    /// When the name is empty, longer than [`MAX_LEN`](Self::MAX_LEN) bytes, or has another character than `a-z`,
    /// `0-9`, `_`, `.` and `-`.
    pub fn validate(self) -> Result<(), ConfigError> {
        Self::check(self.0)
    }

    /// The rule of [`validate`](Self::validate), for a string that is no name yet.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn check(name: &str) -> Result<(), ConfigError> {
        if name.is_empty() || name.len() > Self::MAX_LEN {
            return Err(ConfigError::new(
                "name",
                format!("must have 1 to {} bytes, not {}", Self::MAX_LEN, name.len()),
            ));
        }
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '-');
        match name.chars().find(|&c| !allowed(c)) {
            Some(c) => Err(ConfigError::new(
                "name",
                format!("may not contain {c:?}: use a-z 0-9 _ . -"),
            )),
            None => Ok(()),
        }
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self(name)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}
