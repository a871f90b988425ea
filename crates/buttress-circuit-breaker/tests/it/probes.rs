//! The half-open state: how many get in, and how each of them ends.

use buttress_circuit_breaker::{CircuitBreaker, Permit, State};
use buttress_core::{Settle, Verdict};

use crate::{SECOND, exact, failures_to_open, pass, succeed};

async fn half_open() -> CircuitBreaker {
    let breaker = exact().build();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    breaker
}

fn probe(breaker: &CircuitBreaker) -> Permit {
    let permit = breaker.try_acquire().expect("room for a probe");
    assert!(permit.is_probe());
    permit
}

// proves: CB-3
#[tokio::test(start_paused = true)]
async fn at_most_three_probes_are_in_flight() {
    let breaker = half_open().await;
    let probes = [(); 3].map(|()| probe(&breaker));
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(
        rejected.retry_after(),
        Some(SECOND),
        "nobody knows when a probe ends"
    );
    assert_eq!(breaker.snapshot().probes_in_flight, 3);
    drop(probes);
    assert_eq!(breaker.snapshot().probes_in_flight, 0);
}

// proves: CB-3
#[tokio::test(start_paused = true)]
async fn no_probe_is_admitted_that_cannot_matter() {
    let breaker = half_open().await;
    succeed(&breaker);
    let _second = probe(&breaker);
    let _third = probe(&breaker);
    assert!(
        breaker.try_acquire().is_err(),
        "one success and two on their way are enough"
    );
}

// proves: CB-4
#[tokio::test(start_paused = true)]
async fn a_dropped_probe_frees_its_place() {
    let breaker = half_open().await;
    for _ in 0..100 {
        drop(probe(&breaker));
    }
    (0..3).for_each(|_| succeed(&breaker));
    assert_eq!(breaker.snapshot().state, State::Closed);
}

// proves: CB-4
#[tokio::test(start_paused = true)]
async fn a_probe_that_never_ends_fails_at_its_limit() {
    let breaker = half_open().await;
    let hanging = [(); 3].map(|()| probe(&breaker));
    pass(30 * SECOND).await;
    assert_eq!(
        breaker.try_acquire().unwrap_err().retry_after(),
        Some(60 * SECOND)
    );
    assert_eq!(breaker.snapshot().state, State::Open);
    pass(60 * SECOND).await;
    (0..3).for_each(|_| succeed(&breaker));
    assert_eq!(breaker.snapshot().state, State::Closed);
    hanging
        .into_iter()
        .for_each(|permit| permit.settle(Verdict::Failure));
    assert_eq!(
        breaker.snapshot().consecutive_failures,
        0,
        "they come too late"
    );
}

// proves: CB-4
#[tokio::test(start_paused = true)]
async fn endless_answers_that_began_well_close_it_at_their_limit() {
    let breaker = half_open().await;
    let streams = [(); 3].map(|()| probe(&breaker));
    streams
        .iter()
        .for_each(|stream| stream.note(Verdict::Success));
    pass(29 * SECOND).await;
    assert!(breaker.try_acquire().is_err());
    pass(SECOND).await;
    assert!(breaker.try_acquire().is_ok());
    assert_eq!(breaker.snapshot().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_began_badly_fails_at_its_limit() {
    let breaker = half_open().await;
    let stream = probe(&breaker);
    stream.note(Verdict::Failure);
    pass(30 * SECOND).await;
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.snapshot().state, State::Open);
}

// proves: CB-5
#[tokio::test(start_paused = true)]
async fn a_stale_probe_of_an_earlier_round_moves_nothing() {
    let breaker = half_open().await;
    let stale_good = probe(&breaker);
    let stale_bad = probe(&breaker);
    probe(&breaker).settle(Verdict::Failure);
    pass(60 * SECOND).await;
    let current = probe(&breaker);
    stale_good.settle(Verdict::Success);
    stale_bad.settle(Verdict::Failure);
    assert_eq!(breaker.snapshot().state, State::HalfOpen);
    assert_eq!(breaker.snapshot().probes_in_flight, 1);
    current.settle(Verdict::Success);
    (0..2).for_each(|_| succeed(&breaker));
    assert_eq!(breaker.snapshot().state, State::Closed);
}

// proves: CB-5
#[tokio::test(start_paused = true)]
async fn a_probe_that_was_ended_at_its_limit_does_not_end_its_successor() {
    let breaker = exact().probes(1).successes_to_close(2).build();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    let slow = probe(&breaker);
    slow.note(Verdict::Success);
    pass(30 * SECOND).await;
    let successor = probe(&breaker);
    slow.settle(Verdict::Failure);
    assert_eq!(breaker.snapshot().state, State::HalfOpen);
    successor.settle(Verdict::Success);
    assert_eq!(breaker.snapshot().state, State::Closed);
}
