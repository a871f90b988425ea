//! Random schedules of four threads that wait, leave, stall and change the limit: whoever waits is woken.
//!
//! A thread that waits parks, so a lost wake-up is a deadlock, which shuttle reports together with the schedule.

use std::time::Duration;

use buttress_core::Priority;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};
use shuttle::thread;
use tokio::time::Instant;

use super::{
    Call, Claim, Fate, Key, MOST_QUEUED, Notice, PerClass, Slots, State, Terms, Turn, Waiter,
};

const PATIENCE: Duration = Duration::from_millis(10);
const THREADS: usize = 4;
const SCHEDULES: usize = 100_000;

#[derive(Clone)]
struct Parked(thread::Thread);

impl Waiter for Parked {
    fn turn_out(&self, _: Fate) {}
}

/// The machine, what its shell does with it, and a clock that goes on when somebody says so.
struct Bulkhead {
    state: State<Parked>,
    start: Instant,
    milliseconds: AtomicU64,
}

impl Bulkhead {
    fn new(limit: u32) -> Self {
        let terms = Terms {
            capacity: 3,
            caps: PerClass::from_fn(|_| MOST_QUEUED),
            shares: PerClass::from_fn(|_| 10),
            patience: PATIENCE,
        };
        Self {
            state: State::new(Slots::new(limit, 0), terms),
            start: Instant::now(),
            milliseconds: AtomicU64::new(0),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.milliseconds.load(SeqCst))
    }

    fn serve(&self) {
        while let Some(notice) = self.state.serve(self.now()) {
            Self::deliver(notice);
        }
    }

    fn deliver(notice: Notice<Parked>) {
        if let Notice::Granted(Parked(thread)) | Notice::TurnedOut(Parked(thread), _) = notice {
            thread.unpark();
        }
    }

    fn end(&self) {
        if self.state.slots.give_back(Claim::ORDINARY).is_waited_for() {
            self.serve();
        }
    }

    fn join(&self, priority: Priority) -> Option<Key> {
        let now = self.now();
        let call = Call {
            priority,
            joined: now,
            limit: now + Duration::from_secs(30),
            deadline: None,
        };
        let arrival = self.state.join(call, Parked(thread::current()));
        arrival.turned_out.into_iter().for_each(Self::deliver);
        if arrival.serve {
            self.serve();
        }
        arrival.place.ok()
    }

    /// What the timer of an overdue grant does.
    fn let_patience_pass(&self) {
        self.milliseconds.fetch_add(10, SeqCst);
        self.serve();
    }

    fn call(&self) {
        let mut random = thread_rng();
        let priority = Priority::ALL[random.gen_range(0..Priority::ALL.len())];
        if self.state.slots.take(Claim::ORDINARY).is_some() {
            return self.end();
        }
        let Some(key) = self.join(priority) else {
            return;
        };
        match random.gen_range(0..4) {
            0 => return self.leave(key),
            1 => self.let_patience_pass(),
            _ => {}
        }
        self.wait(key);
    }

    fn wait(&self, key: Key) {
        loop {
            match self.state.poll(key, || self.now()) {
                Turn::Admitted { .. } => return self.end(),
                Turn::Over(_) => return self.serve(),
                Turn::Gone => return,
                Turn::Served => self.serve(),
                Turn::Waits(_) => thread::park(),
            }
        }
    }

    fn leave(&self, key: Key) {
        if self.state.leave(key) {
            self.serve();
        }
    }
}

fn run(limit: u32, calls: usize, disturb: fn(&Bulkhead)) {
    shuttle::check_random(
        move || {
            let bulkhead = Arc::new(Bulkhead::new(limit));
            let threads: Vec<_> = (0..THREADS - 1)
                .map(|_| {
                    let bulkhead = bulkhead.clone();
                    thread::spawn(move || (0..calls).for_each(|_| bulkhead.call()))
                })
                .collect();
            disturb(&bulkhead);
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            let occupancy = bulkhead.state.slots.occupancy();
            assert_eq!(
                (occupancy.in_flight(), occupancy.is_waited_for()),
                (0, false)
            );
        },
        SCHEDULES,
    );
}

// proves
#[test]
fn no_schedule_of_four_callers_loses_a_wake_up() {
    run(1, 2, |bulkhead| (0..2).for_each(|_| bulkhead.call()));
}

// proves: A-5, PB-1
#[test]
fn no_schedule_beside_a_changing_limit_loses_a_wake_up() {
    run(2, 2, |bulkhead| {
        for limit in [1, 3, 2] {
            bulkhead.state.slots.resize(limit);
            bulkhead.serve();
        }
    });
}

// proves: A-18
#[test]
fn no_schedule_beside_a_close_leaves_anybody_waiting() {
    run(1, 2, |bulkhead| {
        bulkhead.state.slots.close();
        while let Some(notice) = bulkhead.state.dismiss() {
            Bulkhead::deliver(notice);
        }
    });
}
