//! Faults that other breakers have, each as a test of this one.

use std::time::Duration;

use buttress_circuit_breaker::{CircuitBreaker, State, Window};
use buttress_core::{Settle, Verdict};

use crate::{SECOND, exact, fail, failures_to_open, pass, succeed};

// proves: CB-1
#[tokio::test(start_paused = true)]
async fn a_long_good_past_does_not_delay_opening() {
    for past in [0, 100, 1_000, 10_000, 100_000] {
        let breaker = exact().failure_rate(0.5, Window::calls(100)).build();
        (0..past).for_each(|_| succeed(&breaker));
        let expected = if past == 0 { 20 } else { 50 };
        assert_eq!(
            failures_to_open(&breaker),
            expected,
            "after {past} successes"
        );
    }
}

// proves: CB-4
#[tokio::test(start_paused = true)]
async fn rare_calls_with_a_short_window_do_not_leave_it_half_open() {
    let breaker = exact()
        .failure_rate(0.5, Window::time(Duration::from_millis(50)))
        .build();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    for _ in 0..3 {
        succeed(&breaker);
        pass(Duration::from_millis(40)).await;
    }
    assert_eq!(breaker.snapshot().state, State::Closed);
}

// proves: CB-4
#[tokio::test(start_paused = true)]
async fn one_hanging_probe_does_not_lock_out_a_healthy_dependency() {
    let breaker = exact()
        .probes(1)
        .open_for(SECOND)
        .probe_limit(SECOND)
        .build();
    failures_to_open(&breaker);
    pass(SECOND).await;
    let _hanging = breaker.try_acquire().unwrap();
    pass(SECOND).await;
    assert!(
        breaker.try_acquire().is_err(),
        "the probe failed at its limit"
    );
    pass(SECOND).await;
    (0..3).for_each(|_| succeed(&breaker));
    assert_eq!(breaker.snapshot().state, State::Closed);
}

// proves: CB-5
#[tokio::test(start_paused = true)]
async fn a_call_from_before_the_trip_does_not_decide_the_probe() {
    for late in [Verdict::Success, Verdict::Failure] {
        let breaker = exact().build();
        let calls = [(); 8].map(|()| breaker.try_acquire().unwrap());
        failures_to_open(&breaker);
        pass(60 * SECOND).await;
        let _probe = breaker.try_acquire().unwrap();
        calls.into_iter().for_each(|call| call.settle(late));
        assert_eq!(
            breaker.snapshot().state,
            State::HalfOpen,
            "after a late {late:?}"
        );
        assert_eq!(breaker.snapshot().probes_in_flight, 1);
    }
}

// proves: CB-5
#[tokio::test(start_paused = true)]
async fn failures_of_an_earlier_closed_time_do_not_open_a_later_one() {
    let builder = exact()
        .failure_rate(0.5, Window::calls(100))
        .consecutive_failures(5);
    let breaker = builder.failure_rate(0.5, Window::time(10 * SECOND)).build();
    let old: Vec<_> = (0..100).map(|_| breaker.try_acquire().unwrap()).collect();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    (0..3).for_each(|_| succeed(&breaker));
    old.into_iter()
        .for_each(|call| call.settle(Verdict::Failure));
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.consecutive_failures),
        (State::Closed, 0)
    );
    assert_eq!(
        snapshot.failure_count, 105,
        "they are counted, and move nothing"
    );
    assert_eq!(failures_to_open(&breaker), 5);
}

// proves: CB-6
#[tokio::test(start_paused = true)]
async fn panics_open_it() {
    let breaker = exact().build();
    for _ in 0..5 {
        let task = tokio::spawn({
            let breaker = breaker.clone();
            async move { breaker.run(async { panics() }).await }
        });
        assert!(task.await.is_err_and(|error| error.is_panic()));
    }
    assert_eq!(breaker.snapshot().state, State::Open);
}

fn panics() -> Result<(), std::io::Error> {
    panic!("on purpose")
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_dropped_calls_do_not_hide_a_failing_dependency() {
    let breaker = exact().build();
    for _ in 0..10_000 {
        drop(breaker.try_acquire().unwrap());
    }
    assert_eq!(failures_to_open(&breaker), 5);
}

#[tokio::test(start_paused = true)]
async fn the_longest_open_time_refuses_for_ever_and_never_panics() {
    let breaker = CircuitBreaker::builder("inventory")
        .open_for(Duration::MAX)
        .build();
    failures_to_open(&breaker);
    for _ in 0..3 {
        let rejected = breaker.try_acquire().unwrap_err();
        assert!(rejected.retry_after() > Some(Duration::from_secs(365 * 24 * 3600)));
        pass(Duration::from_secs(10 * 365 * 24 * 3600)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn low_traffic_that_always_fails_opens_it() {
    let breaker = exact().build();
    for _ in 0..5 {
        fail(&breaker);
        pass(600 * SECOND).await;
    }
    assert_ne!(breaker.snapshot().failure_count, 0);
    assert!(breaker.snapshot().state == State::Open || breaker.try_acquire().unwrap().is_probe());
}

// proves: CB-9
#[tokio::test(start_paused = true)]
async fn while_it_is_open_the_future_is_not_polled() {
    let breaker = exact().build();
    failures_to_open(&breaker);
    for _ in 0..1_000_000 {
        let refused = breaker.run(async { panics() }).await;
        assert!(refused.is_err());
    }
    assert_eq!(breaker.snapshot().refused_count, 1_000_001);
}

#[tokio::test(start_paused = true)]
async fn a_handle_outlives_the_runtime_that_made_it() {
    let breaker = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async { exact().open_for(SECOND).build() })
    })
    .join()
    .unwrap();
    failures_to_open(&breaker);
    assert!(breaker.try_acquire().is_err());
    pass(2 * SECOND).await;
    assert!(breaker.try_acquire().is_ok());
}
