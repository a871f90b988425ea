use std::fmt;

use crate::ending::Endings;

/// What a [`Hammer`](crate::Hammer) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HammerReport {
    /// The seed of the run.
    pub seed: u64,
    /// How many tasks played calls at the same time.
    pub tasks: usize,
    /// How many threads they ran on.
    pub threads: usize,
    /// How the calls ended.
    pub endings: Endings,
    /// How many calls reached the inner service.
    pub inner_calls: usize,
    /// The most calls inside at once, each until its future ended: never above a limit on calls.
    pub peak_in_flight: usize,
    /// The most calls open at once, each until its [`Live`](crate::Live) value was dropped too: never
    /// above a limit that holds until a body ends.
    pub peak_open: usize,
}

impl HammerReport {
    /// How many calls were made.
    #[must_use]
    pub const fn calls(&self) -> usize {
        self.endings.total()
    }

    #[expect(clippy::print_stdout, reason = "a random test says how much it tried")]
    pub(super) fn announced(self) -> Self {
        println!("{self}");
        self
    }
}

impl fmt::Display for HammerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hammer: {} calls by {} tasks ", self.calls(), self.tasks)?;
        write!(
            f,
            "on {} threads, BUTTRESS_SEED={}: ",
            self.threads, self.seed
        )?;
        write!(
            f,
            "{}; {} reached the inner service, ",
            self.endings, self.inner_calls
        )?;
        write!(
            f,
            "{} in flight and {} open at most",
            self.peak_in_flight, self.peak_open
        )
    }
}
