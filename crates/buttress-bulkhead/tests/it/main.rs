//! The bulkhead through its public face.
#![expect(clippy::disallowed_methods, reason = "tests spawn tasks of their own")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail a test"
)]

mod keyed;
mod late;
mod leaving;
mod observers;
mod panicking;
mod queue;
mod runtimes;
mod wakers;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use buttress_bulkhead::{Bulkhead, Event, RefusingBulkheadLayer};
use buttress_core::{Condition, Error, Inspect, Reason, Settle, Value, Verdict, WidenLayer};
use buttress_sync::{Mutex, Random};
use buttress_testkit::{deep, seed};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceBuilder, ServiceExt};

fn bulkhead(max: u32) -> Bulkhead {
    Bulkhead::builder("reports").max_concurrent(max).build()
}

// proves: PB-1
#[tokio::test(start_paused = true)]
async fn with_two_slots_and_five_callers_three_are_refused() {
    let bulkhead = bulkhead(2);
    let service = ServiceBuilder::new()
        .layer(bulkhead.refusing_layer())
        .layer(WidenLayer)
        .service_fn(|()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(())
        });
    let calls = [(); 5].map(|()| tokio::spawn(service.clone().oneshot(())));
    tokio::time::advance(Duration::from_millis(500)).await;
    tokio::task::yield_now().await;
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.max_concurrent), (2, 2));
    assert_eq!((snapshot.rejected_calls, snapshot.queued_calls), (3, 0));
    assert!((snapshot.utilization_percent - 100.0).abs() < f64::EPSILON);
    let mut refused = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(()) => {}
            Err(Error::Rejected(rejected)) => {
                assert_eq!(rejected.reason(), Reason::Overloaded);
                assert_eq!(rejected.retry_after(), Some(Duration::from_secs(1)));
                refused += 1;
            }
            Err(Error::Inner(never)) => match never {},
        }
    }
    assert_eq!(refused, 3);
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.success_count), (0, 2));
}

#[test]
fn its_figures_carry_the_names_that_callers_expect() {
    let bulkhead = bulkhead(4);
    let _inside = bulkhead.try_acquire().unwrap();
    let facts = bulkhead.facts();
    assert_eq!(bulkhead.snapshot().name.as_str(), "reports");
    for fact in [
        ("active_calls", Value::Count(1)),
        ("max_concurrent", Value::Count(4)),
        ("queued_calls", Value::Count(0)),
        ("rejected_calls", Value::Count(0)),
        ("utilization_percent", Value::Number(25.0)),
    ] {
        assert!(facts.contains(&fact), "{fact:?}");
    }
    assert_eq!(
        (bulkhead.kind(), bulkhead.condition()),
        ("bulkheads", Condition::Up)
    );
}

#[test]
fn how_calls_ended_is_counted() {
    let bulkhead = bulkhead(1);
    let settle = |verdict| bulkhead.try_acquire().unwrap().settle(verdict);
    settle(Verdict::Success);
    settle(Verdict::Failure);
    settle(Verdict::Overloaded { retry_after: None });
    settle(Verdict::Throttled { retry_after: None });
    settle(Verdict::Neutral);
    drop(bulkhead.try_acquire());
    let snapshot = bulkhead.snapshot();
    let counts = (
        snapshot.success_count,
        snapshot.failure_count,
        snapshot.neutral_count,
    );
    assert_eq!(counts, (1, 3, 2));
}

// proves: PB-1
#[test]
fn a_lower_limit_keeps_newcomers_out_and_those_inside_in() {
    let bulkhead = bulkhead(3);
    let mut inside: Vec<_> = (0..3).map(|_| bulkhead.try_acquire().unwrap()).collect();
    bulkhead.resize(1).unwrap();
    for left in [3, 2, 1] {
        assert_eq!(bulkhead.snapshot().active_calls, left);
        assert!(bulkhead.try_acquire().is_err());
        inside.pop();
    }
    assert!(bulkhead.try_acquire().is_ok());
    bulkhead.resize(2).unwrap();
    let _two = [
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire().unwrap(),
    ];
}

#[tokio::test]
async fn drained_waits_for_the_last_call_and_for_nothing_else() {
    let bulkhead = bulkhead(3);
    bulkhead.drained().await;
    let (first, second) = (
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire().unwrap(),
    );
    let mut waiters = [(); 3].map(|()| task::spawn(bulkhead.drained()));
    waiters
        .iter_mut()
        .for_each(|waiter| assert_pending!(waiter.poll()));
    drop(first);
    waiters
        .iter()
        .for_each(|waiter| assert!(!waiter.is_woken()));
    drop(second);
    for mut waiter in waiters {
        assert!(waiter.is_woken());
        assert_ready!(waiter.poll());
    }
    let third = bulkhead.try_acquire().unwrap();
    let mut again = task::spawn(bulkhead.drained());
    assert_pending!(again.poll());
    drop(third);
    assert_ready!(again.poll());
}

#[test]
fn a_waiter_that_leaves_does_not_take_the_news_with_it() {
    let bulkhead = bulkhead(1);
    let inside = bulkhead.try_acquire().unwrap();
    let mut leaves = task::spawn(bulkhead.drained());
    let mut stays = task::spawn(bulkhead.drained());
    assert_pending!(leaves.poll());
    assert_pending!(stays.poll());
    drop(leaves);
    drop(inside);
    assert!(stays.is_woken());
    assert_ready!(stays.poll());
}

#[test]
fn a_closed_bulkhead_lets_nobody_in() {
    let bulkhead = bulkhead(2);
    let inside = bulkhead.try_acquire().unwrap();
    bulkhead.close();
    assert_eq!(
        bulkhead.try_acquire().unwrap_err().reason(),
        Reason::Unavailable
    );
    assert_eq!(bulkhead.condition(), Condition::Down);
    drop(inside);
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}

#[test]
fn what_makes_no_sense_gets_one_clear_sentence() {
    for (builder, words) in [
        (
            Bulkhead::builder("reports").max_concurrent(0),
            "`max_concurrent` must be in 1..=1000000, not 0",
        ),
        (
            Bulkhead::builder("reports").max_concurrent(1_000_001),
            "`max_concurrent` must be in 1..=1000000, not 1000001",
        ),
        (
            Bulkhead::builder("re/ports"),
            "`name` may not contain '/': use a-z 0-9 _ . -",
        ),
    ] {
        assert_eq!(builder.try_build().unwrap_err().to_string(), words);
    }
    let bulkhead = bulkhead(7);
    assert!(bulkhead.resize(0).is_err());
    assert_eq!(bulkhead.snapshot().max_concurrent, 7, "the old limit stays");
}

#[test]
#[should_panic(expected = "bulkhead `bulkhead`: `max_concurrent` must be in 1..=1000000, not 0")]
fn the_short_form_panics_with_the_same_words() {
    let _ = RefusingBulkheadLayer::new(0);
}

#[test]
fn the_defaults_are_those_of_the_docs() {
    let snapshot = Bulkhead::builder("reports").build().snapshot();
    assert_eq!(snapshot.max_concurrent, 100);
    assert_eq!(
        RefusingBulkheadLayer::new(3)
            .bulkhead()
            .snapshot()
            .max_concurrent,
        3
    );
}

// proves: A-13
#[test]
fn an_observer_is_told_and_may_use_the_bulkhead() {
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let slot: Arc<std::sync::OnceLock<Bulkhead>> = Arc::default();
    let bulkhead = Bulkhead::builder("reports")
        .max_concurrent(1)
        .observer({
            let (heard, slot) = (Arc::clone(&heard), Arc::clone(&slot));
            move |event: &Event| {
                let _ = slot.get().unwrap().snapshot();
                heard.lock().push(*event);
            }
        })
        .build();
    slot.set(bulkhead.clone()).unwrap();
    let _inside = bulkhead.try_acquire().unwrap();
    let rejected = bulkhead.try_acquire().unwrap_err();
    bulkhead.resize(2).unwrap();
    bulkhead.close();
    bulkhead.close();
    let heard = heard.lock();
    assert!(matches!(heard[0], Event::Refused { rejected: told, .. } if told == rejected));
    assert!(matches!(
        heard[1],
        Event::Resized {
            max_concurrent: 2,
            ..
        }
    ));
    assert!(matches!(heard[2], Event::Closed));
    assert_eq!(heard.len(), 3, "closing twice is told once");
}

#[tokio::test(start_paused = true)]
async fn run_holds_a_slot_while_it_is_polled_and_no_longer() {
    let bulkhead = bulkhead(1);
    let mut running = task::spawn(bulkhead.run(std::future::pending::<Result<(), io::Error>>()));
    assert_eq!(bulkhead.snapshot().active_calls, 0);
    assert_pending!(running.poll());
    assert_eq!(bulkhead.snapshot().active_calls, 1);
    let refused = bulkhead.run(async { Ok::<_, io::Error>(()) }).await;
    assert!(
        matches!(refused, Err(Error::Rejected(_))),
        "after the longest wait"
    );
    let mut waiting = task::spawn(bulkhead.run(async { Ok::<_, io::Error>(()) }));
    assert_pending!(waiting.poll());
    drop(running);
    assert!(waiting.is_woken());
    assert!(assert_ready!(waiting.poll()).is_ok());
    assert_eq!(bulkhead.snapshot().active_calls, 0);
    assert!(bulkhead.run(async { Ok::<_, io::Error>(()) }).await.is_ok());
}

/// Takes, gives back and resizes at random, and notes how many were inside at most.
fn shake(bulkhead: &Bulkhead, steps: u64, seed: u64, inside: &AtomicU32, peak: &AtomicU32) {
    let random = Random::seeded(seed);
    let mut held = Vec::new();
    for _ in 0..steps {
        match random.next_u64() % 64 {
            0 => bulkhead
                .resize(LIMITS[(random.next_u64() % 4) as usize])
                .unwrap(),
            1..40 => {
                if let Ok(permit) = bulkhead.try_acquire() {
                    peak.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    held.push(permit);
                }
            }
            _ => {
                if let Some(permit) = held.pop() {
                    inside.fetch_sub(1, SeqCst);
                    drop(permit);
                }
            }
        }
    }
    for permit in held {
        inside.fetch_sub(1, SeqCst);
        permit.settle(Verdict::Success);
    }
}

const LIMITS: [u32; 4] = [1, 2, 5, 8];

// proves, PB-1
#[test]
fn under_threads_and_resizes_nobody_is_inside_above_the_limit_and_nothing_is_lost() {
    let (steps, seed, bulkhead) = (deep(100_000, 10_000_000), seed(), bulkhead(8));
    let (inside, peak) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (bulkhead, inside, peak) = (&bulkhead, &inside, &peak);
            scope.spawn(move || shake(bulkhead, steps / 4, seed ^ thread, inside, peak));
        }
    });
    let peak = peak.into_inner();
    println!("{steps} steps, at most {peak} inside");
    assert!(peak <= 8 && peak > 1, "{peak}");
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}

// proves: A-3
#[tokio::test]
async fn a_readied_service_holds_no_slot() {
    let bulkhead = bulkhead(1);
    let service = ServiceBuilder::new()
        .layer(bulkhead.refusing_layer())
        .layer(WidenLayer)
        .service_fn(|()| async { Ok::<_, Infallible>(()) });
    let mut readied: Vec<_> = (0..10_000).map(|_| service.clone()).collect();
    for service in &mut readied {
        service.ready().await.unwrap();
    }
    let mut caller = service.clone();
    caller.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}
