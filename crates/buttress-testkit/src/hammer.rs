//! Many calls at once, at random.

mod plan;
mod report;
mod rota;
mod share;
mod task;

use std::fmt;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

use plan::Plan;
pub use report::HammerReport;
use rota::Rota;
use share::Share;

use crate::breach::{Finding, attempt, ensure};
use crate::case::{at_rest, call_once};
use crate::ending::Endings;
use crate::random::seed;
use crate::testable::Testable;

/// Makes many calls at once that end in every way, at random, and fails the test when anything is
/// left behind.
///
/// So many *tasks*, spread over a few threads, each play one call after the other; a thread polls its
/// tasks by hand, in random order, each only when it was woken. The inner service gets ready at once
/// or later, suspends up to three times, and then answers, fails, panics in `call` or in `poll`, or
/// hangs. Every fourth call is dropped after a random number of steps: its service unready or ready
/// without a call, its future before the first poll or after some, its response unread or half read.
/// A call whose inner future hangs is dropped after a while; one that waits for anything else waits
/// for its wake. When no task can go on and no wake is on its way, that wake was lost, and the test
/// fails; so a wait that only a timer ends must be set to zero.
///
/// Each call is made on a clone of one service. Nothing sleeps, and scripted panics print nothing.
///
/// # Examples
///
/// ```
/// use buttress_testkit::{Hammer, Subject, deep};
/// use std::sync::Arc;
/// use tokio::sync::Semaphore;
/// use tower::limit::GlobalConcurrencyLimitLayer;
///
/// let slots = Arc::new(Semaphore::new(2));
/// let layer = GlobalConcurrencyLimitLayer::with_semaphore(slots.clone());
/// let subject = Subject::new(layer).conserves("slots", move || 2 - slots.available_permits());
///
/// let report = Hammer::new(deep(10_000, 1_000_000)).run(subject);
/// assert_eq!(report.peak_in_flight, 2);
/// ```
#[must_use = "a hammer does nothing until it is run"]
pub struct Hammer {
    calls: usize,
    tasks: usize,
    threads: usize,
    seed: Option<u64>,
    surroundings: Surroundings,
}

type Surroundings = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

impl Hammer {
    /// Makes so many calls in all, by 16 tasks on 2 threads.
    pub fn new(calls: usize) -> Self {
        Self {
            calls,
            tasks: 16,
            threads: 2,
            seed: None,
            surroundings: Box::new(|work| work()),
        }
    }

    /// Lets so many tasks play calls at the same time; at least one for each thread.
    ///
    /// A few more than the layer admits are best: with many more, a layer that refuses does little else.
    pub fn tasks(mut self, tasks: usize) -> Self {
        self.tasks = tasks;
        self
    }

    /// Spreads the tasks over so many threads; with one, a seed repeats the run exactly.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Takes this seed instead of [`seed()`].
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Lets each thread do its work inside `surroundings`, which must call what it is given once.
    ///
    /// For layers that need a runtime's timers: `move |work| { let _guard = handle.enter(); work() }`.
    pub fn within(
        mut self,
        surroundings: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Self {
        self.surroundings = Box::new(surroundings);
        self
    }

    /// Makes the calls, prints the seed first and the report last, and returns the report.
    ///
    /// When all is over, nothing that the subject [conserves](crate::Subject::conserves) may be held,
    /// no inner future or response may be alive, and a good call must be answered by the inner
    /// service. Whether more calls were in flight than allowed is in the report.
    ///
    /// # Panics
    ///
    /// Panics, with the seed, when this does not hold, when calls wait and nobody will wake them, when
    /// the inner service was called without its own readiness, and when no call was answered at all.
    #[track_caller]
    pub fn run<X>(self, subject: X) -> HammerReport
    where
        X: Testable + Sync,
        X::Service: Clone + Send,
    {
        let seed = self.seed.unwrap_or_else(seed);
        let plan = Plan::new(seed, subject.is_fallible());
        let turns = plan.clone();
        let subject = subject.playing(move |turn| turns.script(turn));
        match attempt(|| self.strike(&subject, seed, &plan)) {
            Ok(report) => report.announced(),
            Err(seen) => panic!("hammer, BUTTRESS_SEED={seed}: {seen}"),
        }
    }

    fn strike<X>(&self, subject: &X, seed: u64, plan: &Plan) -> Result<HammerReport, String>
    where
        X: Testable + Sync,
        X::Service: Clone + Send,
    {
        let endings = self.play(subject, seed)?;
        let counts = subject.controls().counts();
        ensure(endings.answered > 0, || {
            format!("no call was answered: {endings}")
        })?;
        plan.calm_down();
        self.inside(|| aftermath(subject))?;
        Ok(HammerReport {
            seed,
            tasks: self.tasks,
            threads: self.threads,
            endings,
            inner_calls: counts.calls,
            peak_in_flight: counts.peak_in_flight,
            peak_open: counts.peak_open,
        })
    }

    /// Plays all calls on all threads; a panic of one of them goes on.
    fn play<X>(&self, subject: &X, seed: u64) -> Result<Endings, String>
    where
        X: Testable + Sync,
        X::Service: Clone + Send,
    {
        let service = subject.service();
        let rota = Rota::new(self.threads);
        let mut endings = Endings::default();
        thread::scope(|scope| {
            let spawn = |share: Share| {
                let (service, rota) = (service.clone(), &rota);
                let work = move || share.play(subject, &service, rota, seed);
                scope.spawn(move || self.inside(work))
            };
            let threads: Vec<ScopedJoinHandle<'_, _>> = self.shares().map(spawn).collect();
            threads.into_iter().try_for_each(|thread| {
                let share = thread.join().unwrap_or_else(|panic| resume_unwind(panic))?;
                endings.add(&share);
                Ok(())
            })
        })
        .map(|()| endings)
    }

    /// Does something in the chosen surroundings.
    fn inside<T>(&self, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        let mut work = Some(work);
        let mut result = Err("the surroundings did not do their work".into());
        (self.surroundings)(&mut || {
            if let Some(work) = work.take() {
                result = work();
            }
        });
        result
    }

    fn shares(&self) -> impl Iterator<Item = Share> {
        let threads = self.threads;
        (0..threads).map(move |thread| Share {
            thread: thread as u64,
            calls: self.calls / threads + usize::from(thread < self.calls % threads),
            tasks: (self.tasks / threads).max(1),
        })
    }
}

impl fmt::Debug for Hammer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hammer")
            .field("calls", &self.calls)
            .field("tasks", &self.tasks)
            .field("threads", &self.threads)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// Nothing is left, and a good call works.
fn aftermath<X: Testable>(subject: &X) -> Finding {
    at_rest(subject)?;
    subject.restore();
    call_once(subject, subject.service())?;
    at_rest(subject)
}
