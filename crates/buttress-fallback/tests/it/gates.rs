//! What limits a level.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::{CircuitBreaker, State};
use buttress_core::{Deadline, Outcome, Reason};
use buttress_fallback::{FallbackChain, Source};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::{Answer, Does, Failure, down, level};

const SECOND: Duration = Duration::from_secs(1);

fn hanging() -> Source<u32, &'static str, Failure> {
    Source::function(|_| pending())
}

// proves: FC-5, A-1
#[tokio::test(start_paused = true)]
async fn a_level_that_is_full_is_passed_over() {
    let chain = FallbackChain::builder("limits")
        .replica(hanging().limit(2))
        .default_value("default")
        .build();
    let mut inside: Vec<_> = (0..2).map(|call| task::spawn(chain.run(call))).collect();
    for call in &mut inside {
        assert_pending!(call.poll());
    }
    let replica = || chain.snapshot().levels[1].clone();
    assert_eq!(
        (replica().active_calls, replica().max_concurrent),
        (2, Some(2))
    );
    let served = assert_ready!(task::spawn(chain.run(3)).poll()).unwrap();
    assert_eq!(served.answer, "default");
    let why = served.by.errors.as_slice()[0].outcome();
    assert_eq!(why, Outcome::Refused(Reason::Overloaded));
    inside.pop();
    assert_eq!(replica().active_calls, 1);
    assert_pending!(task::spawn(chain.run(4)).poll());
    assert_eq!(
        replica().active_calls,
        1,
        "dropped, it gives its place back"
    );
}

// proves: FC-5
#[tokio::test]
async fn what_is_called_below_a_primary_has_a_limit_unless_it_is_taken_away() {
    let calls = Arc::default();
    let chain = FallbackChain::builder("limits")
        .primary(level::<u32>(0, Does::Answers, &calls))
        .replica(level(1, Does::Answers, &calls))
        .backup(level(2, Does::Answers, &calls).unlimited())
        .default_value(Answer {
            place: 3,
            verdict: buttress_core::Verdict::Success,
        })
        .build();
    let limits = chain
        .snapshot()
        .levels
        .into_iter()
        .map(|level| level.max_concurrent);
    assert_eq!(limits.collect::<Vec<_>>(), [None, Some(100), None, None]);
}

// proves: A-1
#[tokio::test]
async fn gates_of_other_crates_decide_and_hear_of_the_end() {
    let calls = Arc::default();
    let breaker = CircuitBreaker::builder("replica")
        .consecutive_failures(2)
        .build();
    let bulkhead = Bulkhead::builder("replica").max_concurrent(1).build();
    let chain = FallbackChain::builder("gates")
        .replica(
            level(1, Does::Fails, &calls)
                .gate(breaker.clone())
                .gate(bulkhead.clone()),
        )
        .default(level::<u32>(2, Does::Answers, &calls))
        .build();
    let outcomes = async || {
        let served = chain.run(1).await.unwrap();
        served
            .by
            .errors
            .as_slice()
            .iter()
            .map(|tried| tried.outcome())
            .collect::<Vec<_>>()
    };
    assert_eq!(outcomes().await, [Outcome::Failed]);
    let slot = bulkhead.try_acquire().unwrap();
    assert_eq!(outcomes().await, [Outcome::Refused(Reason::Overloaded)]);
    drop(slot);
    assert_eq!(
        breaker.snapshot().neutral_count,
        1,
        "of the call that the bulkhead refused"
    );
    assert_eq!(outcomes().await, [Outcome::Failed]);
    assert_eq!(breaker.snapshot().state, State::Open);
    assert_eq!(outcomes().await, [Outcome::Refused(Reason::Unavailable)]);
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}

// proves: A-1
#[tokio::test(start_paused = true)]
async fn a_gate_gets_its_permit_back_when_the_time_of_the_level_is_over() {
    let bulkhead = Bulkhead::builder("replica").max_concurrent(1).build();
    let chain = FallbackChain::builder("gates")
        .replica(
            hanging()
                .gate(bulkhead.clone())
                .time(Duration::from_secs(1)),
        )
        .default_value("default")
        .build();
    assert_eq!(chain.run(1).await.unwrap().answer, "default");
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}

// proves: A-1
#[tokio::test(start_paused = true)]
async fn a_breaker_hears_of_a_level_that_took_too_long_and_of_one_that_panicked() {
    let breaker = CircuitBreaker::builder("replica").build();
    let chain = FallbackChain::builder("gates")
        .replica(
            Source::function(|request| async move {
                assert!(request > 0, "a bug");
                pending().await
            })
            .gate(breaker.clone())
            .time(Duration::from_secs(1)),
        )
        .default_value("default")
        .build();
    let chain: &FallbackChain<u32, &str, Failure> = &chain;
    chain.run(1).await.unwrap();
    assert_eq!(breaker.snapshot().failure_count, 1);
    let mut panics = task::spawn(chain.run(0));
    let panicked = catch_unwind(AssertUnwindSafe(|| panics.poll().is_ready()));
    assert!(panicked.is_err());
    assert_eq!(breaker.snapshot().failure_count, 2);
    // Whoever gives up says nothing about it.
    let deadline = Deadline::after(Instant::now(), Duration::from_millis(10));
    assert!(chain.run_before(deadline, 1).await.is_err());
    let mut dropped = task::spawn(chain.run(1));
    assert_pending!(dropped.poll());
    drop(dropped);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.failure_count, snapshot.neutral_count), (2, 2));
}

// proves: A-1
#[tokio::test]
async fn a_function_that_panics_before_it_has_a_future_counts_as_a_failure() {
    let breaker = CircuitBreaker::builder("replica").build();
    let panics = |_: u32| -> std::future::Ready<Result<(), Failure>> { panic!("at once") };
    let chain = FallbackChain::builder("panics")
        .replica(Source::function(panics).limit(1).gate(breaker.clone()))
        .build();
    for failures in 1..=2 {
        let mut call = task::spawn(chain.run(1));
        let panicked = catch_unwind(AssertUnwindSafe(|| call.poll()));
        assert!(panicked.is_err());
        drop(call);
        assert_eq!(breaker.snapshot().failure_count, failures);
        assert_eq!(chain.snapshot().levels[1].active_calls, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_hears_of_a_level_that_took_all_of_our_own_total() {
    let breaker = CircuitBreaker::builder("replica").build();
    let hangs: Source<u32, (), Failure> = Source::function(|_| pending());
    let chain = FallbackChain::builder("total")
        .replica(hangs.gate(breaker.clone()))
        .build();
    let total = Deadline::after(Instant::now(), SECOND).as_total();
    let out = chain.run_before(total, 1).await.unwrap_err();
    assert_eq!(
        out.failed[0].tried.outcome(),
        Outcome::Refused(Reason::TimedOut)
    );
    let seen = breaker.snapshot();
    assert_eq!((seen.failure_count, seen.neutral_count), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_level_that_was_never_asked_took_no_time() {
    let slow = Source::function(async |_: u32| {
        sleep(SECOND).await;
        Err(down())
    });
    let chain = FallbackChain::builder("took")
        .primary(slow)
        .replica(Source::function(async |_: u32| Ok::<_, Failure>(())).limit(0))
        .build();
    let out = chain.run(1).await.unwrap_err();
    assert_eq!(out.failed[0].tried.took(), SECOND);
    assert_eq!(out.failed[1].tried.took(), Duration::ZERO);
    let seen = &chain.snapshot().levels[1];
    assert_eq!((seen.failed, seen.passed_over), (0, 1));
}
