//! Every interleaving of three threads, two preemptions: the budget is never overdrawn.

use std::time::Duration;

use buttress_sync::atomic::{AtomicU32, Ordering::SeqCst};
use buttress_timer::Moment;
use loom::sync::Arc;
use loom::thread;

use super::deposits::{Deposits, Terms};

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

fn budget() -> Arc<Deposits> {
    let terms = Terms {
        deposit: 500,
        refund: false,
    };
    Arc::new(Deposits::new(terms, Moment::START))
}

// proves: RB-2
#[test]
fn three_that_retry_at_once_take_no_more_than_there_is() {
    model(|| {
        let (budget, taken) = (budget(), Arc::new(AtomicU32::new(0)));
        let takes = |times: u32| {
            let (budget, taken) = (budget.clone(), taken.clone());
            move || {
                for _ in 0..times {
                    if budget.take(Moment::START, || 0) {
                        taken.fetch_add(1, SeqCst);
                    }
                }
            }
        };
        let threads = [2, 1].map(|times| thread::spawn(takes(times)));
        takes(1)();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(taken.load(SeqCst), 3);
        assert!(!budget.take(Moment::START, || 0));
    });
}

// proves: RB-2
#[test]
fn successes_beside_retries_and_a_look_at_the_cap_lose_nothing() {
    model(|| {
        let budget = budget();
        assert!(budget.take(Moment::START, || 0));
        let (succeeds, looks) = (budget.clone(), budget.clone());
        let threads = [
            thread::spawn(move || {
                succeeds.succeeded();
                true
            }),
            thread::spawn(move || {
                let late = Moment::after_start(Duration::from_secs(50));
                looks.take(late, || 0)
            }),
        ];
        budget.give_back();
        for thread in threads {
            assert!(thread.join().unwrap());
        }
        // Three, of which one is taken; half of one and a whole one come, as far as there is room.
        let left = (0..5).filter(|_| budget.take(Moment::START, || 0)).count();
        assert!((2..=3).contains(&left), "{left}");
    });
}
