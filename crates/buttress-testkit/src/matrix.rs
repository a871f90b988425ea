use std::fmt;
use std::ops::RangeInclusive;

use crate::case::each_cut;
use crate::ending::Endings;
use crate::script::{Ending, Readiness, Script};
use crate::testable::Testable;

/// Drops a call at every point where it can be dropped, under every script, and fails the test when
/// anything is left behind or the next call does not work.
///
/// The same as [`CancelMatrix::new`] and [`run`](CancelMatrix::run).
///
/// # Panics
///
/// As [`CancelMatrix::run`].
#[track_caller]
pub fn cancel_matrix<F, X>(fixture: F) -> MatrixReport
where
    F: Fn() -> X,
    X: Testable,
{
    CancelMatrix::new().run(fixture)
}

/// Runs a call once for each point where it can be dropped.
///
/// The scripts are all combinations of readiness (at once, pending once, pending twice), suspension
/// points (0 to 5) and endings (all five). Under each script the call is cut off after 0, 1, 2 …
/// steps until it has ended or hangs; a step is a poll of readiness, the call itself, a poll of the
/// future or the reading of a part of the response. So the cases are: the service dropped unready, or
/// ready without a call; the future dropped before its first poll, and after each; the response
/// dropped unread, and after each part; the call read to its end; a panic in `call` and in each poll.
#[derive(Clone, Debug)]
pub struct CancelMatrix {
    endings: Vec<Ending>,
    suspensions: RangeInclusive<u32>,
}

impl CancelMatrix {
    /// All scripts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            endings: Ending::ALL.to_vec(),
            suspensions: 0..=5,
        }
    }

    /// Only scripts with these endings. For an infallible subject [`Ending::Err`] is left out anyway.
    #[must_use]
    pub fn endings(mut self, endings: impl IntoIterator<Item = Ending>) -> Self {
        self.endings = endings.into_iter().collect();
        self
    }

    /// Only scripts with so many suspension points.
    #[must_use]
    pub const fn suspensions(mut self, suspensions: RangeInclusive<u32>) -> Self {
        self.suspensions = suspensions;
        self
    }

    /// Runs every case on a subject of its own, and prints and returns how many there were.
    ///
    /// After each case nothing that the subject [conserves](crate::Subject::conserves) may be held, no
    /// inner future or response may be alive, and the next call must be answered by the inner
    /// service: on the service that was called, if one was, and on a new one of the same layer.
    ///
    /// # Panics
    ///
    /// Panics at the first case that breaks this, and names it; when a call stalls although the inner
    /// one does not hang, or never stops waking itself; and when there was no case at all.
    #[track_caller]
    pub fn run<F, X>(&self, fixture: F) -> MatrixReport
    where
        F: Fn() -> X,
        X: Testable,
    {
        let mut report = MatrixReport::default();
        let fallible = fixture().is_fallible();
        for script in self
            .scripts()
            .filter(|script| fallible || script.ending != Ending::Err)
        {
            let outcome = each_cut(&fixture, script, |end, finding| {
                report.endings.record(end);
                finding
            });
            if let Err(seen) = outcome {
                panic!("cancel_matrix, case {}: {seen}", report.cases());
            }
        }
        assert!(report.cases() > 0, "cancel_matrix ran no case");
        report.announce();
        report
    }

    fn scripts(&self) -> impl Iterator<Item = Script> {
        let readiness = [Readiness::AtOnce, Readiness::After(1), Readiness::After(2)];
        readiness.into_iter().flat_map(move |readiness| {
            self.suspensions.clone().flat_map(move |suspensions| {
                self.endings.iter().map(move |ending| {
                    Script::new(*ending)
                        .readiness(readiness)
                        .suspensions(suspensions)
                })
            })
        })
    }
}

impl Default for CancelMatrix {
    fn default() -> Self {
        Self::new()
    }
}

/// What a [`CancelMatrix`] ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatrixReport {
    /// How the calls of the cases ended.
    pub endings: Endings,
}

impl MatrixReport {
    /// How many cases there were.
    #[must_use]
    pub const fn cases(&self) -> usize {
        self.endings.total()
    }

    #[expect(clippy::print_stdout, reason = "a matrix says how much it tried")]
    fn announce(&self) {
        println!("{self}");
    }
}

impl fmt::Display for MatrixReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cancel_matrix: {} cases: {}", self.cases(), self.endings)
    }
}
