//! The table of everything that is measured.

#[cfg(feature = "peers")]
mod backon;
mod bare;
#[cfg(feature = "peers")]
mod failsafe;
#[cfg(feature = "peers")]
mod governor;
#[cfg(feature = "peers")]
mod hdrhistogram;
mod ours;
#[cfg(feature = "peers")]
mod recloser;
#[cfg(feature = "peers")]
mod seatbelt;
#[cfg(feature = "peers")]
mod tokio;
#[cfg(feature = "peers")]
mod tower;
#[cfg(feature = "peers")]
mod tower_governor;
#[cfg(feature = "peers")]
mod tower_resilience;

use std::any::Any;
use std::fmt;

pub use self::bare::SUCCEEDS;
use crate::inner::Inner;
use crate::subject::Subject;

/// Whose figures are held against the goals.
pub const OURS: &str = "buttress";

/// What every other figure is measured over.
pub const BARE: &str = "bare service";

/// Makes a subject; called inside a tokio runtime.
#[derive(Clone, Copy, Debug)]
enum Build {
    /// Every call succeeds, over either inner service.
    Serving(fn(Inner) -> Box<dyn Subject>),
    /// Needs an inner service of its own.
    Special(fn() -> Box<dyn Subject>),
}

/// One layer in one state.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Whose it is.
    pub who: &'static str,
    /// The path through the layer: one row of the table, and of `goals.toml`.
    pub path: &'static str,
    /// Whose figures are subtracted; none for the bare services.
    pub base: Option<Base>,
    /// How many calls go before the measured ones.
    pub warm_up: u64,
    /// How many calls the shorter of two runs measures; the longer does twice as many.
    pub calls: u64,
    /// Whether each call makes the next one dearer, so that only runs of a given length can be compared.
    pub grows: bool,
    build: Build,
}

/// The case whose figures are subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Whose it is.
    pub who: &'static str,
    /// Its path.
    pub path: &'static str,
}

impl Case {
    /// A case in which every call succeeds, so that tasks may contend for it.
    const fn serving(
        who: &'static str,
        path: &'static str,
        build: fn(Inner) -> Box<dyn Subject>,
    ) -> Self {
        Self::with(who, path, Build::Serving(build))
    }

    /// A case with an inner service of its own.
    const fn special(
        who: &'static str,
        path: &'static str,
        build: fn() -> Box<dyn Subject>,
    ) -> Self {
        Self::with(who, path, Build::Special(build))
    }

    const fn with(who: &'static str, path: &'static str, build: Build) -> Self {
        let base = Some(SUCCEEDS);
        Self {
            who,
            path,
            base,
            warm_up: 500,
            calls: 1000,
            grows: false,
            build,
        }
    }

    const fn over(self, base: Base) -> Self {
        Self {
            base: Some(base),
            ..self
        }
    }

    const fn lasting(self, warm_up: u64, calls: u64) -> Self {
        Self {
            warm_up,
            calls,
            ..self
        }
    }

    #[cfg(feature = "peers")]
    const fn growing(self) -> Self {
        Self {
            grows: true,
            ..self
        }
    }

    /// Makes the subject; `inner` is heeded where every call succeeds.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, where the component needs one.
    pub fn build(&self, inner: Inner) -> Box<dyn Subject> {
        match self.build {
            Build::Serving(build) => build(inner),
            Build::Special(build) => build(),
        }
    }

    /// Whether every call succeeds, whoever shares the component.
    pub fn is_serving(&self) -> bool {
        matches!(self.build, Build::Serving(_))
    }

    /// Whether this is the case that `base` names.
    pub fn is(&self, base: Base) -> bool {
        self.who == base.who && self.path == base.path
    }

    /// Whether it is one of those that the others are measured over.
    pub fn is_bare(&self) -> bool {
        self.who == BARE
    }
}

/// A component that keeps something for each key.
#[derive(Clone, Copy, Debug)]
pub struct Hoard {
    /// Whose it is.
    pub who: &'static str,
    fill: fn() -> Box<dyn Any>,
}

impl Hoard {
    /// Makes one that knows [`MANY`](crate::keys::MANY) keys of eight bytes each.
    pub fn fill(&self) -> Box<dyn Any> {
        (self.fill)()
    }
}

/// Every such component: ours, then the peers'.
pub const HOARDS: &[Hoard] = &[
    ours::HOARD,
    #[cfg(feature = "peers")]
    governor::HOARD,
];

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.who, self.path)
    }
}

/// Every case, those of one path together: the bare services, ours, then the peers'.
pub fn all() -> Vec<&'static Case> {
    let mut cases: Vec<_> = bare::CASES
        .iter()
        .chain(ours::CASES)
        .chain(peers())
        .collect();
    let paths: Vec<_> = cases.iter().map(|case| case.path).collect();
    cases.sort_by_key(|case| paths.iter().position(|&path| path == case.path));
    cases
}

/// The case that `who` has on `path`.
pub fn find(who: &str, path: &str) -> Option<&'static Case> {
    all()
        .into_iter()
        .find(|case| case.who == who && case.path == path)
}

#[cfg(feature = "peers")]
fn peers() -> impl Iterator<Item = &'static Case> {
    tower::CASES
        .iter()
        .chain(tower_resilience::CASES)
        .chain(tokio::CASES)
        .chain(failsafe::CASES)
        .chain(recloser::CASES)
        .chain(governor::CASES)
        .chain(tower_governor::CASES)
        .chain(seatbelt::CASES)
        .chain(backon::CASES)
        .chain(hdrhistogram::CASES)
}

#[cfg(not(feature = "peers"))]
fn peers() -> impl Iterator<Item = &'static Case> {
    std::iter::empty()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::runtime;

    #[test]
    fn every_case_has_the_outcomes_it_expects() {
        for case in all() {
            let runtime = runtime::single();
            runtime.block_on(async {
                let mut subject = case.build(Inner::Prompt);
                subject.warm_up(case.warm_up).await;
                subject.run(200).await;
                subject.share().run(200).await;
            });
        }
    }

    #[test]
    fn every_case_is_named_once_and_its_base_exists() {
        let mut seen = HashSet::new();
        for case in all() {
            assert!(
                seen.insert((case.who, case.path)),
                "{case} stands twice in the table"
            );
            assert_eq!(case.base.is_none(), case.is_bare(), "{case}");
            assert!(
                case.base
                    .is_none_or(|base| all().iter().any(|other| other.is(base))),
                "{case}"
            );
        }
    }

    #[test]
    fn every_peer_stands_beside_a_case_of_ours() {
        for case in peers() {
            assert!(find(OURS, case.path).is_some(), "{case} has no counterpart");
        }
    }
}
