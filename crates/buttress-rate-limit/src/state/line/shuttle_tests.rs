//! Random schedules of five threads that wait, leave, come late and change the rate, beside a clock: whoever waits comes out.
//!
//! A thread that waits parks, and the clock goes on only to moments for which a timer was set. So a lost wake-up, and a timer that
//! nobody set, is a thread that stays, which the clock finds out.

use buttress_sync::Mutex;
use buttress_timer::Moment;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use shuttle::thread::{self, Thread};

use super::{Arrival, Call, Fate, Line, Step, Supply, Turn, Waiter};

const CALLERS: u32 = 3;
const NEVER: u64 = u64::MAX;

/// A thread that waits, and its timer.
struct Sleeper {
    thread: Thread,
    alarm: AtomicU64,
    /// Whether its timer wakes the thread alone, and does not look after the line.
    is_private: bool,
}

#[derive(Clone)]
struct Parked(Arc<Sleeper>);

impl Parked {
    fn new(alarm: u64, is_private: bool) -> Self {
        Self(Arc::new(Sleeper {
            thread: thread::current(),
            alarm: AtomicU64::new(alarm),
            is_private,
        }))
    }
}

impl Waiter for Parked {
    fn turn_out(&self, _: Fate) {}
}

/// One unit every so many milliseconds.
struct Tap(Mutex<(u64, u64)>);

impl Supply for Tap {
    type Receipt = ();

    fn take(&self, _: u32, now: Moment) -> Result<(), Moment> {
        let mut tap = self.0.lock();
        let (next, interval) = *tap;
        if next > now.nanos() {
            return Err(Moment::from_nanos(next));
        }
        tap.0 = now.nanos() + interval;
        Ok(())
    }

    fn ready(&self, _: u32, _: Moment) -> Moment {
        Moment::from_nanos(self.0.lock().0)
    }

    fn turn(&self, units: u64, now: Moment) -> Option<Moment> {
        let (next, interval) = *self.0.lock();
        Some(Moment::from_nanos(
            next.max(now.nanos()) + (units - 1) * interval,
        ))
    }

    fn fits(&self, _: u32) -> bool {
        true
    }
}

const MILLI: u64 = 1_000_000;

/// The line, what its shell does with it, and a clock.
struct Limit {
    line: Line<Parked>,
    tap: Tap,
    now: AtomicU64,
    sleepers: Mutex<Vec<Parked>>,
    running: AtomicU32,
}

impl Limit {
    fn new() -> Self {
        Self {
            line: Line::new(2),
            tap: Tap(Mutex::new((20 * MILLI, 20 * MILLI))),
            now: AtomicU64::new(0),
            sleepers: Mutex::new(Vec::new()),
            running: AtomicU32::new(CALLERS),
        }
    }

    fn now(&self) -> Moment {
        Moment::from_nanos(self.now.load(SeqCst))
    }

    fn attend(&self) {
        loop {
            match self.line.step(self.now(), &self.tap) {
                Step::Call(who) | Step::TurnOut(who, _) => who.0.thread.unpark(),
                Step::Watch(watchers) => {
                    for (who, due) in watchers.into_iter().flatten() {
                        who.0.alarm.fetch_min(due.nanos(), SeqCst);
                    }
                    return;
                }
            }
        }
    }

    fn sleep(&self, until: u64) {
        let private = Parked::new(until, true);
        self.sleepers.lock().push(private.clone());
        while self.now.load(SeqCst) < until {
            thread::park();
        }
        self.sleepers
            .lock()
            .retain(|one| !Arc::ptr_eq(&one.0, &private.0));
    }

    fn call(&self) {
        let now = self.now();
        let call = Call {
            units: 1,
            joined: now,
            limit: Moment::from_nanos(NEVER),
            deadline: None,
        };
        let reserves = thread_rng().gen_range(0..4) == 0;
        if !reserves && self.line.is_empty() && self.tap.take(1, now).is_ok() {
            return;
        }
        let who = Parked::new(NEVER, false);
        let arrival = self.line.arrive(call, reserves, &self.tap, || who.clone());
        let Arrival::Waits { key, .. } = arrival else {
            return;
        };
        self.sleepers.lock().push(who.clone());
        self.attend();
        if thread_rng().gen_range(0..4) == 0 {
            // Nobody polls it for a while.
            self.sleep(self.now.load(SeqCst) + thread_rng().gen_range(1..40) * MILLI);
        }
        let leaves = thread_rng().gen_range(0..4) == 0;
        while !leaves {
            let turn = self.line.poll(key, self.now(), &self.tap);
            self.attend();
            match turn {
                Turn::Waits => thread::park(),
                Turn::Admitted(()) | Turn::Over(_) | Turn::Gone => break,
            }
        }
        self.sleepers
            .lock()
            .retain(|one| !Arc::ptr_eq(&one.0, &who.0));
        if leaves && self.line.leave(key) {
            self.attend();
        }
    }

    /// Goes on to the next moment for which a timer is set, while anybody waits.
    fn tick(&self) {
        let mut idle = 0;
        while self.running.load(SeqCst) > 0 {
            let sleepers = self.sleepers.lock().clone();
            let next = sleepers.iter().map(|one| one.0.alarm.load(SeqCst)).min();
            let Some(next) = next.filter(|&next| next != NEVER) else {
                idle += 1;
                assert!(idle < 2_000, "somebody waits, and no timer is set");
                thread::yield_now();
                continue;
            };
            idle = 0;
            self.now.fetch_max(next, SeqCst);
            for Parked(sleeper) in sleepers {
                if sleeper.alarm.load(SeqCst) <= next {
                    sleeper.alarm.store(NEVER, SeqCst);
                    if sleeper.is_private {
                        sleeper.thread.unpark();
                    } else {
                        self.attend();
                    }
                }
            }
            thread::yield_now();
        }
    }
}

fn run(calls: u32, disturb: fn(&Limit)) {
    let schedules = buttress_testkit::deep(5_000, 100_000);
    shuttle::check_random(
        move || {
            let limit = Arc::new(Limit::new());
            let callers = (0..CALLERS).map(|_| {
                let limit = Arc::clone(&limit);
                thread::spawn(move || {
                    (0..calls).for_each(|_| limit.call());
                    limit.running.fetch_sub(1, SeqCst);
                })
            });
            let ticker = Arc::clone(&limit);
            let clock = thread::spawn(move || ticker.tick());
            let threads: Vec<_> = callers.chain([clock]).collect();
            disturb(&limit);
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            assert_eq!(limit.line.waiting(), 0);
        },
        schedules,
    );
}

// proves, RL-4
#[test]
fn no_schedule_of_callers_loses_a_wake_up() {
    run(2, |_| {});
}

// proves: A-5
#[test]
fn no_schedule_beside_a_changing_rate_loses_a_wake_up() {
    run(2, |limit| {
        for interval in [50, 5, 20] {
            {
                let mut tap = limit.tap.0.lock();
                tap.0 = tap.0.min(limit.now.load(SeqCst) + interval * MILLI);
                tap.1 = interval * MILLI;
            }
            if !limit.line.is_empty() {
                limit.attend();
            }
        }
    });
}

// proves: A-18
#[test]
fn no_schedule_beside_a_close_leaves_anybody_waiting() {
    run(2, |limit| {
        assert!(limit.line.close());
        while let Some(who) = limit.line.dismiss() {
            who.0.thread.unpark();
        }
        assert!(!limit.line.is_empty());
    });
}
