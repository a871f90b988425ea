//! What observers are told.

use std::sync::Arc;

use buttress_circuit_breaker::{Cause, CircuitBreaker, CircuitBreakerBuilder, Event, State};
use buttress_core::{Settle, Verdict};
use buttress_sync::Mutex;

use crate::{SECOND, exact, fail, failures_to_open, pass, succeed};

type Heard = Arc<Mutex<Vec<Event>>>;

fn listening(builder: CircuitBreakerBuilder) -> (CircuitBreaker, Heard) {
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    let breaker = builder
        .observer(move |event: &Event| told.lock().push(*event))
        .build();
    (breaker, heard)
}

fn sequence(event: &Event) -> Option<u32> {
    match event {
        Event::Opened { sequence, .. }
        | Event::HalfOpened { sequence, .. }
        | Event::Closed { sequence, .. }
        | Event::Forced { sequence, .. } => Some(*sequence),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn closing_tells_the_story_of_the_outage() {
    let (breaker, heard) = listening(exact());
    failures_to_open(&breaker); // one refusal
    pass(60 * SECOND).await;
    drop(breaker.try_acquire()); // dropped
    fail(&breaker); // opens again
    assert!(breaker.try_acquire().is_err());
    pass(60 * SECOND).await;
    let stream = breaker.try_acquire().unwrap();
    stream.note(Verdict::Success);
    pass(30 * SECOND).await; // late, and good
    (0..2).for_each(|_| succeed(&breaker));
    let last = *heard.lock().last().unwrap();
    let Event::Closed { story, .. } = last else {
        panic!("{last:?}")
    };
    assert_eq!(story.open_for, 150 * SECOND);
    assert_eq!((story.refused, story.reopened), (2, 1));
    let probes = story.probes;
    assert_eq!(
        (probes.good, probes.failed, probes.dropped, probes.late),
        (3, 1, 1, 1)
    );
}

// proves: CB-10
#[tokio::test(start_paused = true)]
async fn every_transition_is_told_once_in_order_with_its_number() {
    let (breaker, heard) = listening(exact());
    for _ in 0..3 {
        failures_to_open(&breaker);
        pass(60 * SECOND).await;
        (0..3).for_each(|_| succeed(&breaker));
    }
    breaker.force_open();
    breaker.reset();
    let heard = heard.lock();
    let told: Vec<u32> = heard.iter().filter_map(sequence).collect();
    assert_eq!(told, (1..=11).collect::<Vec<u32>>());
    assert_eq!(breaker.snapshot().transitions, 11);
    assert!(matches!(
        heard[0],
        Event::Opened {
            cause: Cause::ConsecutiveFailures,
            ..
        }
    ));
    assert!(matches!(
        heard.last(),
        Some(Event::Forced {
            state: State::Closed,
            ..
        })
    ));
}

#[test]
fn concurrent_transitions_leave_no_gap() {
    let (breaker, heard) = listening(exact().open_for(std::time::Duration::ZERO));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let breaker = &breaker;
            scope.spawn(move || {
                for call in 0..20_000_u32 {
                    if let Ok(permit) = breaker.try_acquire() {
                        let bad = (call / 8 + thread) % 2 == 0;
                        permit.settle(if bad {
                            Verdict::Failure
                        } else {
                            Verdict::Success
                        });
                    }
                }
            });
        }
    });
    let mut told: Vec<u32> = heard.lock().iter().filter_map(sequence).collect();
    told.sort_unstable();
    assert!(told.len() > 100, "only {} transitions", told.len());
    assert_eq!(
        told,
        (1..=breaker.snapshot().transitions).collect::<Vec<u32>>()
    );
}

// proves: A-13
#[tokio::test(start_paused = true)]
async fn an_observer_may_use_the_breaker() {
    let seen = Heard::default();
    let slot: Arc<std::sync::OnceLock<CircuitBreaker>> = Arc::default();
    let breaker = exact()
        .observer({
            let (slot, seen) = (Arc::clone(&slot), Arc::clone(&seen));
            move |event: &Event| {
                let breaker = slot.get().unwrap();
                let _ = breaker.snapshot();
                if !matches!(event, Event::Refused { .. }) {
                    let _ = breaker.try_acquire();
                }
                seen.lock().push(*event);
            }
        })
        .build();
    slot.set(breaker.clone()).unwrap();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    (0..3).for_each(|_| succeed(&breaker));
    assert_eq!(breaker.snapshot().state, State::Closed);
    assert!(seen.lock().len() >= 4);
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_costs_no_probe_its_place() {
    let breaker = exact()
        .observer(|event: &Event| {
            if matches!(event, Event::HalfOpened { .. }) {
                panic!("the observer's");
            }
        })
        .build();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| breaker.try_acquire()));
    assert!(told.is_err());
    assert_eq!(breaker.snapshot().probes_in_flight, 0);
    (0..3).for_each(|_| succeed(&breaker));
    assert_eq!(breaker.snapshot().state, State::Closed);
}
