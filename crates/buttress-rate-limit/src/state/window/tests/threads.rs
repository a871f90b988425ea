use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::{Window, at};

const THREADS: u64 = 8;

/// What a call has seen of the clock before and after.
type Bracket = (u64, u64);

/// The length of the windows, against which a clock runs that the threads move themselves.
const WIDTH: u64 = 10_000;

/// A window, and how eight threads take from it.
struct Hammer {
    window: Window,
    clock: AtomicU64,
    /// How far a call moves the clock, at most.
    step: u64,
    /// Whether some are slow, some give back, some owe.
    busy: bool,
}

impl Hammer {
    fn run(&self, random: &Random, attempts: u64) -> Vec<Bracket> {
        let mut admitted = Vec::new();
        for _ in 0..attempts {
            let draw = random.next_u64();
            let now = self.clock.fetch_add(draw % self.step, SeqCst);
            if self.busy && draw >> 60 == 0 {
                // Others go on meanwhile.
                thread::yield_now();
            }
            if let Ok(mut receipt) = self.window.take(1, at(now)) {
                let after = self.clock.load(SeqCst);
                let keeps = !self.busy || draw >> 62 > 0;
                if keeps || self.window.give_back(&mut receipt, 1) == 0 {
                    admitted.push((now, after));
                }
            } else if self.busy && draw >> 48 & 0xfff == 0 {
                self.window.charge(1, at(now));
            }
        }
        admitted
    }
}

/// Each call counts as of some moment between its reading of the clock and its return. So of the calls that lie in a window as a
/// whole there are never more than the limit, in whatever order the threads come.
fn hammer(limit: u32, slots: u32, step: u64, busy: bool) {
    let attempts = deep(100_000_u64, 10_000_000);
    let hammer = &Hammer {
        window: Window::new(limit, WIDTH, slots, at(0)),
        clock: AtomicU64::new(0),
        step,
        busy,
    };
    let seed = seed();
    let mut admitted: Vec<Bracket> = thread::scope(|scope| {
        let run = |id| move || hammer.run(&Random::seeded(seed ^ id << 32), attempts);
        let threads: Vec<_> = (0..THREADS).map(|id| scope.spawn(run(id))).collect();
        let admitted = threads.into_iter().map(|thread| thread.join().unwrap());
        admitted.flatten().collect()
    });
    admitted.sort_unstable();
    let most = most_in_a_window(&admitted, WIDTH);
    let windows = hammer.clock.load(SeqCst) / WIDTH + 1;
    let share = admitted.len() as f64 / windows as f64 / f64::from(limit);
    let sum = admitted.len();
    println!("{sum} admitted; at most {most} of {limit}; {share:.3} of all");
    assert!(most <= limit);
    assert!(busy || share > 0.95, "{share}");
}

fn most_in_a_window(admitted: &[Bracket], width: u64) -> u32 {
    let inside = |start: usize| {
        let end = admitted[start].0 + width;
        let candidates = admitted[start..]
            .iter()
            .take_while(|(before, _)| *before < end);
        candidates.filter(|(_, after)| *after < end).count()
    };
    let most = (0..admitted.len()).map(inside).max().unwrap();
    u32::try_from(most).unwrap()
}

// proves: RL-1
#[test]
fn eight_threads_never_admit_more_than_the_limit_to_an_exact_window() {
    hammer(100, 100, 10, false);
    hammer(1, 64, 10, false);
}

// proves: RL-1
#[test]
fn eight_threads_never_admit_more_than_the_limit_to_a_coarse_window() {
    hammer(150, 64, 10, false);
    hammer(50, 3, 10, false);
}

/// Some are slow, some give back, some owe.
// proves: RL-1
#[test]
fn eight_threads_keep_to_the_limit_whatever_they_do() {
    hammer(150, 64, 10, true);
    hammer(20, 20, 100, true);
}

/// With the clock standing still exactly the limit is admitted, and again after each window.
// proves: RL-1
#[test]
fn eight_threads_share_the_limit_and_leave_nothing() {
    let rounds = deep(2_000_u64, 100_000);
    for (limit, slots) in [(16, 16), (50, 3), (7, 2)] {
        let window = Window::new(limit, 1_000, slots, at(0));
        let (barrier, taken) = (Barrier::new(4), AtomicU64::new(0));
        thread::scope(|scope| {
            for id in 0..4 {
                let (window, barrier, taken) = (&window, &barrier, &taken);
                scope.spawn(move || {
                    for round in 0..rounds {
                        let units = 1 + u32::try_from((round + id) % 2).unwrap();
                        // Each has read the clock a little later than the one before.
                        let now = at(round * 1_003 + id);
                        while window.take(units, now).is_ok() {
                            taken.fetch_add(u64::from(units), SeqCst);
                        }
                        while window.take(1, now).is_ok() {
                            taken.fetch_add(1, SeqCst);
                        }
                        barrier.wait();
                        assert_eq!(taken.load(SeqCst), u64::from(limit) * (round + 1));
                        barrier.wait();
                    }
                });
            }
        });
    }
}

/// What is out is never more than the larger of the limits, whatever is given back and changed.
// proves: RL-1
#[test]
fn a_limit_that_changes_under_eight_threads_is_kept() {
    let attempts = deep(20_000_u64, 1_000_000);
    let window = Window::new(50, 1_000, 64, at(0));
    let (clock, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    let seed = seed();
    thread::scope(|scope| {
        for id in 0..THREADS {
            let (window, clock, taken) = (&window, &clock, &taken);
            scope.spawn(move || {
                let random = Random::seeded(seed ^ id << 32);
                for _ in 0..attempts {
                    let draw = random.next_u64();
                    if id == 0 && draw.is_multiple_of(32) {
                        let limit = 40 + u32::try_from(draw >> 32 & 7).unwrap();
                        window.set(limit, 1_000, at(clock.load(SeqCst)));
                    }
                    let now = at(clock.fetch_add(draw >> 63, SeqCst));
                    if window.take(1, now).is_ok() {
                        taken.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
    let windows = clock.load(SeqCst) / 1_000 + 1;
    let taken = taken.load(SeqCst);
    println!("{taken} taken in {windows} windows");
    assert!(taken <= windows * 50);
    assert!(taken >= windows * 35);
}
