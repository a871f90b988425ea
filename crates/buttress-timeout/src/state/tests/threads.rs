//! Many threads at once. Loom has no stack for a state of 30 KiB, and what is shared here is a few independent words.

use std::thread;
use std::time::Duration;

use buttress_sync::Random;
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_testkit::{deep, seed};
use buttress_timer::Moment;

use super::tables::RULE;
use crate::state::{Climbers, MOST_OF_ALL, Outcome, State, Trial};

const THREADS: u32 = 8;

// proves: A-1
#[test]
fn whoever_settles_and_looks_at_once_every_place_is_given_back_and_every_sample_taken_in() {
    let calls = deep(20_000_u64, 1_000_000);
    let (state, random) = (State::new(RULE, 1), Random::seeded(seed()));
    let (counted, climbed) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for call in 0..calls {
                    // An hour, in which calls hang every other minute.
                    let second = call * 3600 / calls;
                    let now = Moment::after_start(Duration::from_secs(second))
                        .plus(Duration::from_nanos(random.next_u64() % 1_000_000_000));
                    let allowed = state.allow(now);
                    let climbs =
                        matches!(allowed.trial, Trial::Climbs(_) | Trial::ClimbsToTheTop(_));
                    climbed.fetch_add(u64::from(climbs), Ordering::Relaxed);
                    assert!(
                        Climbers::of(state.climbers.load(Ordering::Relaxed)).all <= MOST_OF_ALL
                    );
                    let outcome = match random.next_u64() % 10 {
                        0 => Outcome::Nothing,
                        1..=5 if second / 60 % 2 == 1 => Outcome::TimedOut,
                        _ => Outcome::Completed,
                    };
                    counted.fetch_add(u64::from(outcome == Outcome::Completed), Ordering::Relaxed);
                    let took = Duration::from_millis(random.next_u64() % 20 + 1);
                    state.settle(allowed.trial, outcome, took, now);
                }
            });
        }
    });
    assert_eq!(Climbers::of(state.climbers.load(Ordering::Relaxed)).all, 0);
    assert!(climbed.load(Ordering::Relaxed) > 0, "nobody ever climbed");
    state.look(Moment::after_start(Duration::from_secs(3600)));
    let completed = state.learner.lock().completed;
    assert_eq!(completed, counted.load(Ordering::Relaxed));
}
