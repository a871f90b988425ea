//! Calls that go to another level first, so that it is known to work.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use std::time::Duration;

use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::{Deadline, Level, Outcome, Verdict, by};
use buttress_fallback::{FallbackChain, LocalCache, Source};
use tokio::time::{Instant, sleep};
use tokio_test::task;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Does, Failure, down, judge, level, play};

const SECOND: Duration = Duration::from_secs(1);

// proves: FC-6
#[tokio::test]
async fn a_share_of_calls_goes_to_each_level_that_is_called() {
    const CALLS: u32 = 100_000;
    let counts: [Arc<AtomicU32>; 4] = Default::default();
    let chain = FallbackChain::builder("exercised")
        .primary(level::<u32>(0, Does::Answers, &counts[0]))
        .replica(level(1, Does::Answers, &counts[1]))
        .backup(level(2, Does::Answers, &counts[2]))
        .default(Source::value(play(3, Does::Answers).await.unwrap()))
        .exercise(0.02)
        .seed(7)
        .build();
    for call in 0..CALLS {
        let served = chain.run(call).await.unwrap();
        assert_eq!(served.by.degraded, served.by.place > 0);
    }
    // Binomial: 3 sigma of 2 % of so many, and of half of them.
    let [primary, replica, backup, default] = counts.map(|count| count.load(SeqCst));
    let exercised = replica + backup;
    println!("{primary} {replica} {backup}");
    assert!(exercised.abs_diff(2000) < 3 * 44, "{exercised}");
    assert!(replica.abs_diff(1000) < 3 * 32, "{replica}");
    assert_eq!((primary + exercised, default), (CALLS, 0));
    let snapshot = chain.snapshot();
    assert_eq!(snapshot.exercised, u64::from(exercised));
    assert!(snapshot.levels[1].last_success.is_some() && snapshot.levels[2].last_success.is_some());
}

// proves: FC-1, FC-6
#[tokio::test(start_paused = true)]
async fn one_that_fails_goes_on_with_the_primary_and_is_not_asked_again() {
    for (first, second, expected) in [
        (Does::Answers, Does::Answers, 0),
        (Does::Fails, Does::Answers, 2),
    ] {
        for layered in [false, true] {
            let counts: [Arc<AtomicU32>; 3] = Default::default();
            let chain = FallbackChain::builder("exercised")
                .primary(level::<u32>(0, first, &counts[0]))
                .replica(level(1, Does::Hangs, &counts[1]))
                .default(Source::value(play(2, second).await.unwrap()))
                .exercise(1.0)
                .build();
            let answer = if layered {
                let counted = Arc::clone(&counts[0]);
                let service = service_fn(move |_: u32| {
                    counted.fetch_add(1, SeqCst);
                    play(0, first)
                });
                chain.layer().layer(service).oneshot(1).await.unwrap()
            } else {
                let served = chain.run(1).await.unwrap();
                let tried = served.by.errors.as_slice()[0];
                assert_eq!(tried.level(), Level::Replica);
                assert!(matches!(tried.outcome(), Outcome::Refused(_)));
                served.answer
            };
            assert_eq!(answer.place, expected);
            let asked = counts.each_ref().map(|count| count.load(SeqCst));
            assert_eq!(asked, [1, 1, 0]);
        }
    }
}

#[tokio::test]
async fn a_chain_with_nothing_to_exercise_exercises_nothing() {
    let chain = FallbackChain::<u32, u32, Failure>::builder("exercised")
        .default_value(0)
        .exercise(1.0)
        .build();
    chain.run(1).await.unwrap();
    assert_eq!(chain.snapshot().exercised, 0);
}

// proves: FC-9
#[tokio::test(start_paused = true)]
async fn one_alone_is_sent_though_another_level_is_asked_first() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let primary = service_fn(move |_: u32| {
        let first = counted.fetch_add(1, SeqCst) == 0;
        async move {
            if first {
                Ok::<_, Failure>(0)
            } else {
                pending().await
            }
        }
    });
    let fails = Source::function(async |_: u32| Err(down()));
    let cache = LocalCache::keyed(|key: &u32| Some(*key)).fresh_for(SECOND);
    let chain = FallbackChain::builder("alone")
        .replica(fails)
        .local_cache(cache)
        .exercise(1.0)
        .build();
    let stack = chain.layer().layer(primary);
    assert_eq!(stack.clone().oneshot(1).await.unwrap(), 0);
    sleep(2 * SECOND).await;
    let mut calls: Vec<_> = (0..5)
        .map(|_| task::spawn(stack.clone().oneshot(1)))
        .collect();
    for call in &mut calls {
        let _ = call.poll();
    }
    assert_eq!(
        asked.load(SeqCst),
        2,
        "one is sent, the others get what is kept"
    );
}

// proves: FC-3
#[tokio::test(start_paused = true)]
async fn after_the_callers_deadline_nobody_is_asked_first_either() {
    let calls = Arc::default();
    let breaker = CircuitBreaker::builder("replica").build();
    let chain = FallbackChain::builder("late")
        .primary(level::<u32>(0, Does::Answers, &calls))
        .replica(level(1, Does::Answers, &calls).gate(breaker.clone()))
        .exercise(1.0)
        .build();
    let out = chain
        .run_before(Deadline::at(Instant::now()), 1)
        .await
        .unwrap_err();
    assert_eq!(calls.load(SeqCst), 0);
    let seen = chain.snapshot();
    assert_eq!(
        (
            out.failed.len(),
            seen.exercised,
            seen.levels[1].failed,
            breaker.snapshot().neutral_count
        ),
        (0, 0, 0, 0)
    );
}

// proves: FC-1
#[tokio::test(start_paused = true)]
async fn whoever_is_asked_first_leaves_the_primary_its_part_and_its_word() {
    let chain = FallbackChain::builder("part")
        .replica(Source::<u32, u32, Failure>::function(|_| pending()).time(Duration::MAX))
        .exercise(1.0)
        .total_time(4 * SECOND)
        .build();
    let start = Instant::now();
    let slow = service_fn(async |_: u32| {
        sleep(SECOND).await;
        Ok::<_, Failure>(7)
    });
    let answer = chain.layer().layer(slow).oneshot(1).await;
    assert_eq!((answer.unwrap(), start.elapsed()), (7, 3 * SECOND));
    // An answer that says nothing, or that our quota is spent, is not the last word of anybody who was asked first.
    let (replica, primary) = (Arc::default(), Arc::default());
    for does in [
        Does::Says(Verdict::Throttled { retry_after: None }),
        Does::Says(Verdict::Neutral),
        Does::Errs(Verdict::Throttled { retry_after: None }),
    ] {
        let chain = FallbackChain::builder("word")
            .primary(level::<u32>(0, Does::Answers, &primary))
            .replica(level(1, does, &replica))
            .exercise(1.0)
            .build();
        let served = chain.run_by(by(judge), 1).await.unwrap();
        assert_eq!(served.by.level, Level::Primary, "{does:?}");
    }
    assert_eq!(replica.load(SeqCst), 3);
}

// proves: FC-6
#[tokio::test]
async fn the_same_seed_exercises_the_same_calls() {
    let run = async |seed| {
        let calls = Arc::default();
        let chain = FallbackChain::builder("seeded")
            .primary(level::<u32>(0, Does::Answers, &calls))
            .replica(level(1, Does::Answers, &calls))
            .backup(level(2, Does::Answers, &calls))
            .exercise(0.5)
            .seed(seed)
            .build();
        let mut places = Vec::new();
        for call in 0..200 {
            places.push(chain.run(call).await.unwrap().answer.place);
        }
        places
    };
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
}
