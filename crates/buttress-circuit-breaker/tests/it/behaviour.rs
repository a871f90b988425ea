//! What SPEC.md says a circuit breaker must do, one sentence each.

use std::time::Duration;

use buttress_circuit_breaker::{CircuitBreaker, State, Window};
use buttress_core::{Condition, Inspect, Reason, Settle, Value, Verdict};

use crate::{SECOND, exact, fail, failures_to_open, pass, succeed};

#[tokio::test(start_paused = true)]
async fn it_starts_closed_and_opens_after_the_threshold() {
    let breaker = exact().build();
    assert_eq!(breaker.snapshot().state, State::Closed);
    for _ in 0..4 {
        fail(&breaker);
    }
    assert_eq!(breaker.snapshot().state, State::Closed);
    fail(&breaker);
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn it_rejects_at_once_while_open_and_says_when_to_come_back() {
    let breaker = exact().build();
    failures_to_open(&breaker);
    pass(20 * SECOND).await;
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.reason(), Reason::Unavailable);
    assert_eq!(rejected.component().as_str(), "inventory");
    assert_eq!(rejected.retry_after(), Some(40 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn it_turns_half_open_after_its_time_and_closes_after_enough_successes() {
    let breaker = exact().build();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    for closed in [false, false, true] {
        succeed(&breaker);
        assert_eq!(breaker.snapshot().state == State::Closed, closed);
    }
}

#[tokio::test(start_paused = true)]
async fn any_failure_while_half_open_opens_it_again() {
    let breaker = exact().build();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    succeed(&breaker);
    fail(&breaker);
    assert_eq!(breaker.snapshot().state, State::Open);
    assert_eq!(
        breaker.try_acquire().unwrap_err().retry_after(),
        Some(60 * SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn its_statistics_carry_name_state_counts_and_times() {
    let breaker = exact().build();
    assert_eq!(breaker.snapshot().last_failure_time, None);
    succeed(&breaker);
    succeed(&breaker);
    fail(&breaker);
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.name.as_str(), "inventory");
    assert_eq!((snapshot.success_count, snapshot.failure_count), (2, 1));
    assert_eq!(snapshot.consecutive_failures, 1);
    assert!(snapshot.last_failure_time.is_some());
    assert!(snapshot.last_failure_time >= Some(snapshot.last_state_change));
    let facts = breaker.facts();
    for name in [
        "state",
        "failure_count",
        "success_count",
        "last_failure_time",
        "last_state_change",
    ] {
        assert!(
            facts.iter().any(|(fact, _)| *fact == name),
            "{name} is missing"
        );
    }
    assert!(facts.contains(&("success_count", Value::Count(2))));
    assert_eq!(breaker.condition(), Condition::Up);
}

// proves: CB-1
#[tokio::test(start_paused = true)]
async fn a_window_of_calls_slides() {
    let breaker = exact().failure_rate(0.5, Window::calls(100)).build();
    for _ in 0..10_000 {
        succeed(&breaker);
    }
    assert_eq!(failures_to_open(&breaker), 50);
}

// proves: CB-2
#[tokio::test(start_paused = true)]
async fn a_window_of_time_forgets() {
    let breaker = exact().failure_rate(0.5, Window::time(10 * SECOND)).build();
    for _ in 0..19 {
        fail(&breaker);
    }
    pass(11 * SECOND).await;
    for _ in 0..19 {
        fail(&breaker);
    }
    assert_eq!(
        breaker.snapshot().state,
        State::Closed,
        "nineteen are too few to judge"
    );
    fail(&breaker);
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_it_and_a_slow_probe_does_not_close_it() {
    let breaker = exact().slow_calls(SECOND, 0.5, Window::calls(4)).build();
    let slow_success = async || {
        let permit = breaker.try_acquire().unwrap();
        pass(SECOND).await;
        permit.settle(Verdict::Success);
    };
    succeed(&breaker);
    succeed(&breaker);
    slow_success().await;
    assert_eq!(breaker.snapshot().state, State::Closed);
    slow_success().await;
    assert_eq!(breaker.snapshot().state, State::Open);
    pass(60 * SECOND).await;
    slow_success().await;
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn any_of_several_rules_opens_it() {
    let build = || {
        let rates = exact()
            .failure_rate(0.5, Window::calls(100))
            .minimum_calls(20);
        rates
            .failure_rate(0.5, Window::time(10 * SECOND))
            .consecutive_failures(7)
            .build()
    };
    assert_eq!(failures_to_open(&build()), 7);

    let breaker = build();
    for _ in 0..3 {
        (0..3).for_each(|_| fail(&breaker));
        (0..3).for_each(|_| succeed(&breaker));
    }
    assert_eq!(
        breaker.snapshot().state,
        State::Closed,
        "eighteen calls are too few to judge"
    );
    fail(&breaker);
    fail(&breaker);
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn overload_counts_and_its_hint_is_a_floor_for_the_open_time() {
    let overloaded = |seconds| Verdict::Overloaded {
        retry_after: Some(seconds * SECOND),
    };
    let open_for = |last: Verdict| {
        let breaker = exact().build();
        (0..4).for_each(|_| fail(&breaker));
        breaker.try_acquire().unwrap().settle(last);
        breaker.try_acquire().unwrap_err().retry_after().unwrap()
    };
    assert_eq!(open_for(overloaded(1)), 60 * SECOND);
    assert_eq!(open_for(overloaded(90)), 90 * SECOND);
    assert_eq!(
        open_for(overloaded(10_000)),
        600 * SECOND,
        "a wish has a bound"
    );

    let deaf = exact().consecutive_failures(1).ignore_overload().build();
    deaf.try_acquire().unwrap().settle(overloaded(1));
    assert_eq!(deaf.snapshot().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn throttling_counts_only_when_asked_for() {
    let throttled = Verdict::Throttled { retry_after: None };
    for (builder, state) in [
        (exact(), State::Closed),
        (exact().count_throttled(), State::Open),
    ] {
        let breaker = builder.consecutive_failures(1).build();
        breaker.try_acquire().unwrap().settle(throttled);
        assert_eq!(breaker.snapshot().state, state);
    }
}

// proves: CB-6
#[tokio::test(start_paused = true)]
async fn a_dropped_call_counts_as_nothing_unless_it_was_slow_or_the_user_says_so() {
    let drop_two = async |breaker: &CircuitBreaker| {
        for _ in 0..2 {
            let permit = breaker.try_acquire().unwrap();
            pass(SECOND).await;
            drop(permit);
        }
        breaker.snapshot().state
    };
    assert_eq!(
        drop_two(&exact().consecutive_failures(1).build()).await,
        State::Closed
    );
    let slow = exact().slow_calls(SECOND, 1.0, Window::calls(2)).build();
    assert_eq!(drop_two(&slow).await, State::Open);
    let patient = exact()
        .slow_calls(2 * SECOND, 1.0, Window::calls(2))
        .build();
    assert_eq!(drop_two(&patient).await, State::Closed);
    let strict = exact().consecutive_failures(2).drops_as_failures().build();
    assert_eq!(drop_two(&strict).await, State::Open);
}

#[tokio::test(start_paused = true)]
async fn states_set_by_hand_are_never_left_by_traffic() {
    let breaker = exact().consecutive_failures(1).build();
    breaker.force_open();
    pass(3600 * SECOND).await;
    assert_eq!(
        breaker.try_acquire().unwrap_err().retry_after(),
        Some(SECOND)
    );
    assert_eq!(breaker.condition(), Condition::Down);

    breaker.force_closed();
    (0..10).for_each(|_| fail(&breaker));
    assert_eq!(breaker.snapshot().state, State::ForcedClosed);

    breaker.metrics_only();
    (0..10).for_each(|_| fail(&breaker));
    assert_eq!(breaker.snapshot().state, State::MetricsOnly);
    assert_eq!(breaker.snapshot().consecutive_failures, 10);

    breaker.reset();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.failure_count), (State::Closed, 0));
    assert_eq!(
        (snapshot.consecutive_failures, snapshot.refused_count),
        (0, 0)
    );
    fail(&breaker);
    assert_eq!(breaker.snapshot().state, State::Open);
}

// proves: CB-8
#[tokio::test(start_paused = true)]
async fn a_ramp_lets_in_a_growing_share() {
    let breaker = exact().ramp(100 * SECOND).seed(7).build();
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    (0..3).for_each(|_| succeed(&breaker));
    let mut shares = Vec::new();
    for _ in 0..10 {
        pass(10 * SECOND).await;
        let admitted = (0..1000).filter(|_| breaker.try_acquire().is_ok()).count();
        shares.push(admitted);
    }
    let expected = [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000];
    for (share, expected) in std::iter::zip(&shares, expected) {
        assert!(share.abs_diff(expected) < 60, "{shares:?}");
    }
    assert_eq!(shares[9], 1000, "the ramp is over");
}

// proves: CB-7
#[tokio::test(start_paused = true)]
async fn jitter_lengthens_by_up_to_a_fifth_and_differs_from_breaker_to_breaker() {
    let open_times: Vec<Duration> = (0..200)
        .map(|seed| {
            let breaker = CircuitBreaker::builder("inventory").seed(seed).build();
            failures_to_open(&breaker);
            breaker.snapshot().open_for.unwrap()
        })
        .collect();
    let (shortest, longest) = (
        open_times.iter().min().unwrap(),
        open_times.iter().max().unwrap(),
    );
    assert!(
        *shortest >= 60 * SECOND && *shortest < 61 * SECOND,
        "{shortest:?}"
    );
    assert!(
        *longest <= 72 * SECOND && *longest > 71 * SECOND,
        "{longest:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn growth_lengthens_the_open_time_with_every_failed_probe() {
    let breaker = exact().growth(2.0).max_open_for(200 * SECOND).build();
    failures_to_open(&breaker);
    for seconds in [60, 120, 200, 200] {
        assert_eq!(breaker.snapshot().open_for, Some(seconds * SECOND));
        pass(seconds * SECOND).await;
        fail(&breaker);
    }
    pass(200 * SECOND).await;
    (0..3).for_each(|_| succeed(&breaker));
    failures_to_open(&breaker);
    assert_eq!(
        breaker.snapshot().open_for,
        Some(60 * SECOND),
        "closing starts from the beginning"
    );
}
