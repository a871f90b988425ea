//! One breaker for each key.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use buttress_circuit_breaker::{
    CircuitBreaker, Event, KeyedCircuitBreaker, MissingKey, OnProbe, State, Window,
};
use buttress_core::{
    Condition, Error, Inspect, Reason, Rejected, Settle, Value, Verdict, WidenLayer, by,
};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::{SECOND, exact, fail, failures_to_open, pass, succeed};

fn breakers(max_keys: u32) -> KeyedCircuitBreaker<u64> {
    exact().seed(7).keyed().max_keys(max_keys).build()
}

fn state(breakers: &KeyedCircuitBreaker<u64>, key: u64) -> Option<State> {
    breakers.find(&key).map(|breaker| breaker.snapshot().state)
}

/// New keys, each of which succeeds once and is as good as new then.
fn flood(breakers: &KeyedCircuitBreaker<u64>) {
    (1000..3000).for_each(|key| succeed(&breakers.get(&key)));
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_one_host_is_not_that_of_all() {
    let breakers = breakers(100);
    assert_eq!(failures_to_open(&breakers.get(&1)), 5);
    assert!(breakers.get(&1).try_acquire().is_err());
    succeed(&breakers.get(&2));
    assert_eq!(state(&breakers, 1), Some(State::Open));
    assert_eq!(state(&breakers, 2), Some(State::Closed));
    assert_eq!(state(&breakers, 3), None);
    pass(60 * SECOND).await;
    (0..3).for_each(|_| succeed(&breakers.get(&1)));
    assert_eq!(state(&breakers, 1), Some(State::Closed));
}

// proves: RL-6
#[tokio::test(start_paused = true)]
async fn only_what_is_closed_and_clean_and_not_in_use_is_forgotten() {
    let breakers = breakers(7);
    failures_to_open(&breakers.get(&1));
    failures_to_open(&breakers.get(&2));
    pass(60 * SECOND).await;
    let probe = breakers.get(&2).try_acquire().expect("a probe");
    fail(&breakers.get(&3));
    let in_flight = breakers.get(&4).try_acquire().expect("closed");
    let kept = breakers.get(&5);
    breakers.get(&6).metrics_only();
    succeed(&breakers.get(&7));
    flood(&breakers);
    assert_eq!(state(&breakers, 1), Some(State::Open));
    assert_eq!(state(&breakers, 2), Some(State::HalfOpen));
    let streak = breakers
        .find(&3)
        .map(|one| one.snapshot().consecutive_failures);
    assert_eq!(streak, Some(1));
    assert_eq!(
        state(&breakers, 4),
        Some(State::Closed),
        "a call is under way"
    );
    assert_eq!(state(&breakers, 5), Some(State::Closed), "somebody has it");
    assert_eq!(state(&breakers, 6), Some(State::MetricsOnly));
    assert_eq!(state(&breakers, 7), None, "as good as new");
    let snapshot = breakers.snapshot();
    assert_eq!((snapshot.keys, snapshot.overflowed), (7, 0));
    // What is done with what was kept is never lost.
    drop((probe, kept));
    in_flight.settle(Verdict::Failure);
    flood(&breakers);
    assert_eq!(
        breakers
            .find(&4)
            .map(|one| one.snapshot().consecutive_failures),
        Some(1)
    );
    assert_eq!(state(&breakers, 5), None);
}

// proves: RL-6
#[tokio::test(start_paused = true)]
async fn windows_that_hold_something_bad_are_kept_until_it_is_forgotten() {
    for window in [Window::calls(10), Window::time(10 * SECOND)] {
        let breakers = exact().failure_rate(0.9, window).minimum_calls(10).keyed();
        let breakers = breakers.max_keys(2).build();
        fail(&breakers.get(&1));
        succeed(&breakers.get(&1));
        flood(&breakers);
        assert_eq!(state(&breakers, 1), Some(State::Closed), "{window:?}");
        (0..10).for_each(|_| succeed(&breakers.get(&1)));
        pass(11 * SECOND).await;
        flood(&breakers);
        assert_eq!(state(&breakers, 1), None, "{window:?}");
        assert_eq!(breakers.snapshot().overflowed, 0);
    }
}

// proves: RL-6, S-3
#[tokio::test(start_paused = true)]
async fn keys_without_room_share_a_breaker() {
    let breakers = breakers(3);
    (0..3).for_each(|key| fail(&breakers.get(&key)));
    (3..8).for_each(|key| fail(&breakers.get(&key)));
    assert_eq!(breakers.shared().snapshot().state, State::Open);
    assert!(breakers.get(&9).try_acquire().is_err());
    (0..3).for_each(|key| assert!(breakers.get(&key).try_acquire().is_ok()));
    let snapshot = breakers.snapshot();
    assert_eq!(
        (snapshot.keys, snapshot.max_keys, snapshot.overflowed),
        (3, 3, 6)
    );
    assert_eq!((snapshot.shared, snapshot.states.closed), (State::Open, 3));
    assert_eq!(breakers.condition(), Condition::Degraded);
}

#[tokio::test(start_paused = true)]
async fn the_figures_are_of_all_keys_and_outlive_them() {
    let breakers = breakers(2);
    failures_to_open(&breakers.get(&1));
    assert!((0..9).all(|_| breakers.get(&1).try_acquire().is_err()));
    assert_eq!(breakers.snapshot().states.open, 1);
    assert_eq!(breakers.facts()[4], ("open", Value::Count(1)));
    pass(60 * SECOND).await;
    (0..3).for_each(|_| succeed(&breakers.get(&1)));
    drop(breakers.get(&2).try_acquire());
    flood(&breakers);
    assert_eq!(state(&breakers, 1), None);
    let snapshot = breakers.snapshot();
    // One refusal ended the count of failures.
    assert_eq!(snapshot.refused_count, 10);
    assert_eq!((snapshot.failure_count, snapshot.neutral_count), (5, 1));
    assert_eq!(snapshot.success_count, 3 + 2000);
    assert!(snapshot.last_failure_time.is_some());
    assert_eq!(
        (breakers.name().as_str(), breakers.kind()),
        ("inventory", "keyed_circuit_breakers")
    );
    breakers.get(&1).reset();
    assert_eq!(
        breakers.snapshot().failure_count,
        5,
        "not for one key to forget"
    );
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error<io::Error>>) -> Rejected {
    match result {
        Err(Error::Rejected(rejected)) => rejected,
        other => panic!("{other:?}"),
    }
}

struct Query(Option<u64>);

/// Works for the second key alone.
async fn backend(query: Query) -> Result<(), io::Error> {
    match query.0 {
        Some(2) => Ok(()),
        _ => Err(io::Error::other("on fire")),
    }
}

// proves: S-4
#[tokio::test(start_paused = true)]
async fn a_layer_asks_the_breaker_of_the_key_and_refuses_what_has_none() {
    let breakers = breakers(100);
    let layer = breakers.by(|query: &Query| query.0);
    let service = ServiceBuilder::new()
        .layer(layer)
        .layer(WidenLayer)
        .service_fn(backend);
    let call = |key| service.clone().oneshot(Query(key));
    for _ in 0..5 {
        assert!(matches!(call(Some(1)).await, Err(Error::Inner(_))));
        assert!(call(Some(2)).await.is_ok());
    }
    assert_eq!(
        refusal(call(Some(1)).await).retry_after(),
        Some(60 * SECOND)
    );
    assert!(call(Some(2)).await.is_ok());
    let rejected = refusal(call(None).await);
    assert_eq!(rejected.reason(), Reason::Unavailable);
    assert_eq!(rejected.component().as_str(), "inventory");
    let snapshot = breakers.snapshot();
    assert_eq!((snapshot.keyless, snapshot.refused_count), (1, 1));
    assert_eq!((snapshot.failure_count, snapshot.success_count), (5, 6));
}

// proves: S-4
#[tokio::test(start_paused = true)]
async fn requests_without_a_key_may_share_a_breaker() {
    let breakers = breakers(100);
    let layer = breakers.by(|query: &Query| query.0);
    let service = ServiceBuilder::new()
        .layer(layer.missing_key(MissingKey::Share))
        .layer(WidenLayer)
        .service_fn(backend);
    let call = |key| service.clone().oneshot(Query(key));
    for _ in 0..5 {
        assert!(matches!(call(None).await, Err(Error::Inner(_))));
    }
    assert_eq!(refusal(call(None).await).retry_after(), Some(60 * SECOND));
    assert!(call(Some(2)).await.is_ok());
    assert_eq!(breakers.shared().snapshot().state, State::Open);
    assert_eq!(
        (breakers.snapshot().keyless, breakers.snapshot().keys),
        (0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_classifier_is_chosen_and_probes_are_marked_as_with_one_breaker() {
    let breakers = exact().keyed().build::<u8>();
    let layer = breakers
        .by(|_: &String| Some(1))
        .classify(by(
            |result: Result<&String, &Error<Infallible>>| match result {
                Ok(text) if text.starts_with("bad") => Verdict::Failure,
                _ => Verdict::Success,
            },
        ))
        .protocol(|plain| OnProbe::new(plain, |text: &mut String| text.push('?')));
    let mut service = ServiceBuilder::new()
        .layer(layer)
        .layer(WidenLayer)
        .service_fn(|request: String| async move { Ok::<_, Infallible>(request) });
    for _ in 0..5 {
        service
            .ready()
            .await
            .unwrap()
            .call("bad".into())
            .await
            .unwrap();
    }
    assert_eq!(breakers.get(&1).snapshot().state, State::Open);
    pass(60 * SECOND).await;
    let answer = service
        .ready()
        .await
        .unwrap()
        .call("good".into())
        .await
        .unwrap();
    assert_eq!(answer, "good?");
}

#[test]
fn settings_are_checked_and_an_observer_hears_all_keys() {
    for keys in [0, 1 << 24 | 1] {
        let built = CircuitBreaker::builder("a")
            .keyed()
            .max_keys(keys)
            .try_build::<u64>();
        assert_eq!(built.unwrap_err().setting(), "max_keys");
    }
    let built = CircuitBreaker::builder("a")
        .probes(0)
        .keyed()
        .try_build::<u64>();
    assert_eq!(built.unwrap_err().setting(), "probes");
    let opened = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&opened);
    let breakers = exact().observer(move |event: &Event| {
        heard.fetch_add(
            usize::from(matches!(event, Event::Opened { .. })),
            Ordering::Relaxed,
        );
    });
    let breakers = breakers.keyed().build();
    (0..10_u64).for_each(|key| assert_eq!(failures_to_open(&breakers.get(&key)), 5));
    assert_eq!(opened.load(Ordering::Relaxed), 10);
    let mut open = Vec::new();
    breakers.for_each(|key, _| open.push(*key));
    open.sort_unstable();
    assert_eq!(open, (0..10).collect::<Vec<_>>());
}
