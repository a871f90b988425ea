//! Every interleaving of three threads, two preemptions: nobody who waits is forgotten, no slot is lost or given twice.

use std::time::Duration;

use buttress_core::Priority;
use buttress_sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::sync::Arc;
use loom::thread;
use tokio::time::Instant;

use super::{
    Arrival, Call, Claim, Fate, Key, MOST_QUEUED, NoPlace, Notice, PerClass, Slots, State, Terms,
    Turn, Waiter,
};

const PATIENCE: Duration = Duration::from_millis(10);

/// Who waits: whether it was woken, and whether it was turned out.
#[derive(Clone)]
struct Bell(Arc<(AtomicU32, AtomicU32)>);

impl Waiter for Bell {
    fn turn_out(&self, fate: Fate) {
        self.0.1.store(fate as u32 + 1, SeqCst);
    }
}

impl Bell {
    fn new() -> Self {
        Self(Arc::new((AtomicU32::new(0), AtomicU32::new(0))))
    }

    fn was_woken(&self) -> bool {
        self.0.0.load(SeqCst) > 0
    }

    fn fate(&self) -> u32 {
        self.0.1.load(SeqCst)
    }
}

/// The machine, and what its shell does with it.
#[derive(Clone)]
struct Bulkhead {
    state: Arc<State<Bell>>,
    start: Instant,
}

impl Bulkhead {
    fn new(limit: u32) -> Self {
        let terms = Terms {
            capacity: 4,
            caps: PerClass::from_fn(|_| MOST_QUEUED),
            shares: PerClass::default(),
            patience: PATIENCE,
        };
        Self {
            state: Arc::new(State::new(Slots::new(limit, 0), terms)),
            start: Instant::now(),
        }
    }

    fn take(&self) -> bool {
        self.state.slots.take(Claim::ORDINARY).is_some()
    }

    fn end(&self) {
        if self.state.slots.give_back(Claim::ORDINARY).is_waited_for() {
            self.serve(self.start);
        }
    }

    fn serve(&self, now: Instant) {
        while let Some(notice) = self.state.serve(now) {
            Self::deliver(notice);
        }
    }

    fn deliver(notice: Notice<Bell>) {
        if let Notice::Granted(bell) | Notice::TurnedOut(bell, _) = notice {
            bell.0.0.store(1, SeqCst);
        }
    }

    fn join(&self, priority: Priority) -> (Bell, Result<Key, NoPlace>) {
        let bell = Bell::new();
        let call = Call {
            priority,
            joined: self.start,
            limit: self.start + Duration::from_secs(30),
            deadline: None,
        };
        let Arrival {
            place,
            turned_out,
            serve,
        } = self.state.join(call, bell.clone());
        turned_out.into_iter().for_each(Self::deliver);
        if serve {
            self.serve(self.start);
        }
        (bell, place)
    }

    fn poll(&self, key: Key, now: Instant) -> Turn {
        let turn = self.state.poll(key, || now);
        if turn != Turn::Served {
            return turn;
        }
        self.serve(now);
        self.state.poll(key, || now)
    }

    fn leave(&self, key: Key) {
        if self.state.leave(key) {
            self.serve(self.start);
        }
    }

    fn close(&self) {
        self.state.slots.close();
        while let Some(notice) = self.state.dismiss() {
            Self::deliver(notice);
        }
    }

    fn inside(&self) -> u32 {
        self.state.slots.occupancy().in_flight()
    }
}

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

/// The slot is granted while the one whose turn it is leaves: the next one gets it, woken.
// proves: PB-8, A-1
#[test]
fn a_grant_to_somebody_who_leaves_passes_on() {
    model(|| {
        let bulkhead = Bulkhead::new(1);
        assert!(bulkhead.take());
        let (_, first) = bulkhead.join(Priority::Normal);
        let (bell, second) = bulkhead.join(Priority::Normal);
        let (first, second) = (first.unwrap(), second.unwrap());
        let (ends, leaves) = (bulkhead.clone(), bulkhead.clone());
        let threads = [
            thread::spawn(move || ends.end()),
            thread::spawn(move || leaves.leave(first)),
        ];
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(bell.was_woken());
        let turn = bulkhead.poll(second, bulkhead.start);
        assert!(matches!(turn, Turn::Admitted { .. }), "{turn:?}");
        assert_eq!(bulkhead.inside(), 1);
    });
}

/// A slot is freed while the limit is raised: both who wait get in.
// proves: PB-1, A-5
#[test]
fn a_grant_beside_a_resize_serves_both() {
    model(|| {
        let bulkhead = Bulkhead::new(1);
        assert!(bulkhead.take());
        let waiting = [(); 2].map(|()| bulkhead.join(Priority::Low));
        let (ends, resizes) = (bulkhead.clone(), bulkhead.clone());
        let threads = [
            thread::spawn(move || ends.end()),
            thread::spawn(move || {
                resizes.state.slots.resize(2);
                resizes.serve(resizes.start);
            }),
        ];
        for thread in threads {
            thread.join().unwrap();
        }
        for (bell, key) in waiting {
            assert!(bell.was_woken());
            let turn = bulkhead.poll(key.unwrap(), bulkhead.start);
            assert!(matches!(turn, Turn::Admitted { .. }), "{turn:?}");
        }
        assert_eq!(bulkhead.inside(), 2);
    });
}

/// Two slots are freed while the limit is lowered to one: never two inside under the new limit, and one does get in.
// proves: PB-1
#[test]
fn a_grant_beside_a_lower_limit_keeps_to_it() {
    model(|| {
        let bulkhead = Bulkhead::new(2);
        assert!(bulkhead.take() && bulkhead.take());
        let waiting = [(); 2].map(|()| bulkhead.join(Priority::Low));
        bulkhead.end();
        let (ends, resizes) = (bulkhead.clone(), bulkhead.clone());
        let threads = [
            thread::spawn(move || ends.end()),
            thread::spawn(move || {
                resizes.state.slots.resize(1);
                resizes.serve(resizes.start);
            }),
        ];
        for thread in threads {
            thread.join().unwrap();
        }
        let woken = waiting.iter().filter(|(bell, _)| bell.was_woken()).count();
        assert!(woken >= 1);
        assert_eq!(bulkhead.inside(), u32::try_from(woken).unwrap());
    });
}

/// An overdue grant is revoked while its owner is polled at last: one of the two who wait has the slot, and knows it.
// proves: PB-8, A-5
#[test]
fn an_overdue_grant_is_taken_up_or_passes_on() {
    model(|| {
        let bulkhead = Bulkhead::new(1);
        assert!(bulkhead.take());
        let (_, late) = bulkhead.join(Priority::Normal);
        let (bell, next) = bulkhead.join(Priority::Normal);
        let (late, next) = (late.unwrap(), next.unwrap());
        bulkhead.end();
        let overdue = bulkhead.start + PATIENCE;
        let (revokes, polls) = (bulkhead.clone(), bulkhead.clone());
        let revoked = thread::spawn(move || revokes.serve(overdue));
        let polled = thread::spawn(move || polls.poll(late, overdue));
        revoked.join().unwrap();
        let turn = polled.join().unwrap();
        assert_eq!(bulkhead.inside(), 1);
        if matches!(turn, Turn::Admitted { .. }) {
            assert!(!bell.was_woken());
        } else {
            assert!(matches!(turn, Turn::Waits(_)), "{turn:?}");
            let turn = bulkhead.poll(next, overdue);
            assert!(
                bell.was_woken() && matches!(turn, Turn::Admitted { .. }),
                "{turn:?}"
            );
        }
    });
}

/// A call joins the queue of a bulkhead that is being closed, while a slot is freed: it learns of it, and nothing is kept.
// proves
#[test]
fn whoever_joins_while_it_closes_learns_of_it() {
    model(|| {
        let bulkhead = Bulkhead::new(1);
        assert!(bulkhead.take());
        let (closes, ends) = (bulkhead.clone(), bulkhead.clone());
        let threads = [
            thread::spawn(move || closes.close()),
            thread::spawn(move || ends.end()),
        ];
        let (bell, place) = bulkhead.join(Priority::High);
        let turn = place.map(|key| bulkhead.poll(key, bulkhead.start));
        for thread in threads {
            thread.join().unwrap();
        }
        match (place, turn) {
            (Err(why), _) => assert_eq!(why, NoPlace::Closed),
            (_, Ok(Turn::Admitted { .. })) => bulkhead.end(),
            (Ok(key), _) => {
                assert!(bell.was_woken());
                assert_eq!(bulkhead.poll(key, bulkhead.start), Turn::Gone);
                assert_eq!(bell.fate(), Fate::Closed as u32 + 1);
            }
        }
        assert_eq!(bulkhead.inside(), 0);
        assert!(!bulkhead.state.slots.occupancy().is_waited_for());
    });
}

/// A slot is freed while one call joins the queue and another tries its luck: the one in the queue gets in, now or after the
/// other.
// proves: A-5
#[test]
fn a_slot_freed_beside_a_newcomer_reaches_the_queue() {
    model(|| {
        let bulkhead = Bulkhead::new(1);
        assert!(bulkhead.take());
        let (ends, tries) = (bulkhead.clone(), bulkhead.clone());
        let threads = [
            thread::spawn(move || ends.end()),
            thread::spawn(move || {
                if tries.take() {
                    tries.end();
                }
            }),
        ];
        let (bell, place) = bulkhead.join(Priority::Background);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(bell.was_woken());
        let turn = bulkhead.poll(place.unwrap(), bulkhead.start);
        assert!(matches!(turn, Turn::Admitted { .. }), "{turn:?}");
        assert_eq!(bulkhead.inside(), 1);
    });
}
