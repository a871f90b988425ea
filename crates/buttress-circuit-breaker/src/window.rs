use std::time::Duration;

use buttress_core::ConfigError;

/// A share above zero and at most one, in parts per million: comparing whole numbers knows no rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(u32);

impl Share {
    const WHOLE: u32 = 1_000_000;

    pub(crate) fn new(setting: &'static str, share: f64) -> Result<Self, ConfigError> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(ConfigError::new(
                setting,
                format!("must be above 0 and at most 1, not {share}"),
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in 0..=10^6"
        )]
        let parts = (share * f64::from(Self::WHOLE)).round() as u32;
        Ok(Self(parts.max(1)))
    }

    /// Whether `part` of `whole` is this share or more.
    pub(crate) fn is_reached(self, part: u64, whole: u64) -> bool {
        part > 0 && part * u64::from(Self::WHOLE) >= whole * u64::from(self.0)
    }
}

/// The calls over which a rate is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// The last calls that were settled, 1 to 10 000.
    Calls(u32),
    /// The calls settled in the last while, 1 µs to 1 h; forgets in steps of a fifteenth.
    Time(Duration),
}

impl Window {
    /// The last `count` settled calls.
    #[must_use]
    pub const fn calls(count: u32) -> Self {
        Self::Calls(count)
    }

    /// The calls settled in the last `duration`.
    #[must_use]
    pub const fn time(duration: Duration) -> Self {
        Self::Time(duration)
    }
}

/// By default the last 100 calls.
impl Default for Window {
    fn default() -> Self {
        Self::Calls(100)
    }
}
