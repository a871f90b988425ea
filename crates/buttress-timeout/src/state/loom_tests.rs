//! Every interleaving of those who settle and those who look.

use std::time::Duration;

use buttress_sync::atomic::Ordering;
use buttress_timer::Moment;
use loom::sync::Arc;
use loom::thread;

use crate::state::{Outcome, Rule, State, Trial};

const RULE: Rule = Rule {
    quantile: 0.5,
    factor: 1.5,
    min_samples: 2,
    floor: Duration::from_millis(1),
    ceiling: Duration::from_secs(1),
};

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(check);
}

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

#[test]
fn whoever_looks_no_sample_is_lost_or_counted_twice() {
    model(|| {
        let state = Arc::new(State::new(RULE, 0));
        let threads: Vec<_> = (1..=2)
            .map(|second| {
                let state = state.clone();
                thread::spawn(move || {
                    let took = Duration::from_millis(10);
                    state.settle(Trial::None, Outcome::Completed, took, at(second));
                })
            })
            .collect();
        state.look(at(3));
        for thread in threads {
            thread.join().unwrap();
        }
        let (seen, _) = state.look(at(4));
        assert_eq!(seen.count(), 2);
        assert!(state.timeout() < Duration::from_millis(20));
    });
}

#[test]
fn places_on_the_ladder_are_given_back_once() {
    model(|| {
        let state = Arc::new(State::new(RULE, 0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let state = state.clone();
                thread::spawn(move || {
                    if state.take_place() {
                        let trial = Trial::Climbs;
                        state.settle(trial, Outcome::Nothing, Duration::ZERO, at(0));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(state.climbers.load(Ordering::Relaxed), 0);
    });
}
