//! Measures what is left of a throughput when one component is shared, on a machine that others use too.
//!
//! A round is a short burst alone and a short burst together. It counts only when the machine was free around it: when two
//! threads that share nothing had really run side by side, right before and right after.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::cases::Case;
use crate::inner::Inner;
use crate::runtime;
use crate::subject::Subject;

/// How long a burst lasts, about.
const BURST: Duration = Duration::from_millis(4);
/// How many rounds a figure is the median of.
const ROUNDS: usize = 9;
/// After how many rounds to give up waiting for a free machine.
const MOST_ROUNDS: usize = 40;
/// By how much two threads that share nothing must outrun one: 2 is a free machine, 1 a single core.
const FREE: f64 = 1.6;
/// How many tasks share a component on two workers.
pub const TASKS: u64 = 8;

/// The throughput of one alone and of several together, in millions of calls per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Of one thread or task.
    pub alone: f64,
    /// Of several that share the component.
    pub together: f64,
    /// Whether the machine was free: if not, nothing follows from the figures.
    pub free: bool,
}

impl Throughput {
    /// How much the others added: 2 is ideal on two cores, below 1 they were in each other's way.
    pub fn ratio(&self) -> f64 {
        self.together / self.alone
    }
}

/// Two ways to make calls, a burst of each.
struct Race<'a> {
    alone: Box<dyn FnMut() -> f64 + 'a>,
    together: Box<dyn FnMut() -> f64 + 'a>,
}

impl Race<'_> {
    fn round(&mut self) -> Throughput {
        Throughput {
            alone: (self.alone)(),
            together: (self.together)(),
            free: true,
        }
    }
}

/// Measures cases; keeps the runtimes and the control from one to the next.
#[derive(Debug)]
pub struct Track {
    control: &'static Case,
    one_worker: Runtime,
    two_workers: Runtime,
}

impl Track {
    /// A track on which `control`, which shares nothing, tells whether the machine is free.
    pub fn new(control: &'static Case) -> Self {
        Self {
            control,
            one_worker: runtime::workers(1),
            two_workers: runtime::workers(2),
        }
    }

    /// One thread against two, each with a runtime of its own.
    pub fn on_threads(&self, case: &Case) -> Throughput {
        let subject = built(&runtime::single(), case, Inner::Prompt);
        self.measure(race_of_threads(&*subject))
    }

    /// One task on one worker against [`TASKS`] on two, over an inner service that yields.
    pub fn on_workers(&self, case: &Case) -> Throughput {
        let subject = built(&self.one_worker, case, Inner::Yielding);
        let spread = |runtime, tasks, calls| elapsed(|| spread(runtime, &*subject, tasks, calls));
        let calls = calls_of_a_burst(|calls| spread(&self.one_worker, 1, calls));
        self.measure(Race {
            alone: Box::new(move || rate(calls, spread(&self.one_worker, 1, calls))),
            together: Box::new(move || rate(calls, spread(&self.two_workers, TASKS, calls))),
        })
    }

    /// The median of the rounds in which the machine was free; of all, when there were too few of those.
    fn measure(&self, mut race: Race<'_>) -> Throughput {
        let control = built(&runtime::single(), self.control, Inner::Prompt);
        let mut control = race_of_threads(&*control);
        let (mut undisturbed, mut all) = (Vec::new(), Vec::new());
        let mut before = control.round().ratio();
        while undisturbed.len() < ROUNDS && all.len() < MOST_ROUNDS {
            let round = race.round();
            let after = control.round().ratio();
            all.push(round);
            if before.min(after) > FREE {
                undisturbed.push(round);
            }
            before = after;
        }
        let free = undisturbed.len() >= ROUNDS / 2;
        Throughput {
            free,
            ..middle(if free { undisturbed } else { all })
        }
    }
}

/// The round in the middle, by ratio.
fn middle(mut rounds: Vec<Throughput>) -> Throughput {
    rounds.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    rounds[rounds.len() / 2]
}

fn built(runtime: &Runtime, case: &Case, inner: Inner) -> Box<dyn Subject> {
    let mut subject = runtime.block_on(async { case.build(inner) });
    runtime.block_on(subject.warm_up(case.warm_up));
    subject
}

fn race_of_threads(subject: &dyn Subject) -> Race<'_> {
    let mut alone = Runner::new(subject);
    let calls = calls_of_a_burst(|calls| alone.run(calls));
    let (mut one, mut other) = (Runner::new(subject), Runner::new(subject));
    Race {
        alone: Box::new(move || rate(calls, alone.run(calls))),
        together: Box::new(move || rate(2 * calls, run_both(&mut one, &mut other, calls))),
    }
}

/// A share in a component, and a runtime of its own to call it in.
struct Runner {
    runtime: Runtime,
    subject: Box<dyn Subject>,
}

impl Runner {
    fn new(subject: &dyn Subject) -> Self {
        Self {
            runtime: runtime::single(),
            subject: subject.share(),
        }
    }

    fn run(&mut self, calls: u64) -> Duration {
        elapsed(|| self.runtime.block_on(self.subject.run(calls)))
    }
}

/// How long it takes from the first start to the last end when both make their calls, side by side.
fn run_both(one: &mut Runner, other: &mut Runner, calls: u64) -> Duration {
    let barrier = Barrier::new(2);
    let burst = |runner: &mut Runner| {
        barrier.wait();
        let start = Instant::now();
        runner.run(calls);
        (start, Instant::now())
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| burst(one));
        let other = burst(other);
        (one.join().expect("a burst does not panic"), other)
    });
    one.1.max(other.1) - one.0.min(other.0)
}

/// Makes `calls` calls in `tasks` tasks that share the component.
fn spread(runtime: &Runtime, subject: &dyn Subject, tasks: u64, calls: u64) {
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let mut subject = subject.share();
            runtime.spawn(async move { subject.run(calls / tasks).await })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("a task does not panic");
        }
    });
}

/// How many calls fill a burst; a multiple of the number of tasks.
fn calls_of_a_burst(mut run: impl FnMut(u64) -> Duration) -> u64 {
    let mut calls = 64 * TASKS;
    while run(calls) < BURST {
        calls *= 2;
    }
    calls
}

fn elapsed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Millions of calls per second.
fn rate(calls: u64, time: Duration) -> f64 {
    calls as f64 / time.as_secs_f64() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn the_middle_round_is_the_one_with_the_middle_ratio() {
        let round = |alone, together| Throughput {
            alone,
            together,
            free: true,
        };
        let rounds = vec![round(1.0, 9.0), round(2.0, 1.0), round(4.0, 5.0)];
        assert_eq!(middle(rounds), round(4.0, 5.0));
    }

    #[test]
    fn a_burst_has_as_many_calls_as_fill_its_time() {
        let each = Duration::from_micros(1);
        let calls = calls_of_a_burst(|calls| each * u32::try_from(calls).unwrap());
        assert_eq!(calls, 4096);
    }

    #[test]
    fn a_service_that_shares_nothing_is_measured_both_ways() {
        let bare = cases::find(cases::BARE, cases::SUCCEEDS.path).unwrap();
        let track = Track::new(bare);
        for throughput in [track.on_threads(bare), track.on_workers(bare)] {
            assert!(
                throughput.alone > 0.0 && throughput.together > 0.0,
                "{throughput:?}"
            );
        }
    }
}
