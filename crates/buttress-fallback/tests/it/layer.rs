//! The layer, and what it tells.

use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use buttress_core::{
    Condition, Deadline, Error, Inspect, Level, ServedBy, Value, Verdict, WidenLayer, by,
};
use buttress_fallback::{Event, FallbackChain, Source};
use buttress_sync::Mutex;
use tokio::time::{Instant, sleep};
use tokio_test::task;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{Does, Failure, down, level};

const SECOND: Duration = Duration::from_secs(1);

/// Fails while the switch is on.
fn primary(
    fails: &Arc<AtomicU32>,
) -> impl tower::Service<u32, Response = String, Error = Failure, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let fails = Arc::clone(fails);
    service_fn(move |request: u32| {
        let fails = fails.load(SeqCst) > 0;
        async move {
            if fails {
                Err(down())
            } else {
                Ok(format!("primary {request}"))
            }
        }
    })
}

// proves: FC-2
#[tokio::test]
async fn a_plain_answer_is_marked_by_a_function() {
    let fails = Arc::new(AtomicU32::new(1));
    let chain = FallbackChain::builder("marked")
        .default_value(String::from("none"))
        .build();
    let mark =
        |answer: String, by: &ServedBy| format!("{answer}, by {} after {}", by.level, by.errors);
    let stack = chain.layer().map_served(mark).layer(primary(&fails));
    assert_eq!(
        stack.clone().oneshot(1).await.unwrap(),
        "none, by default after primary failed after 0 ms"
    );
    fails.store(0, SeqCst);
    assert_eq!(stack.oneshot(1).await.unwrap(), "primary 1");
}

/// Lets time go by until a chain says nothing of what was before.
async fn later(chain: &impl Inspect) {
    for _ in 0..2 {
        sleep(Duration::from_secs(5)).await;
        chain.condition();
    }
}

// proves: FC-2
#[tokio::test(start_paused = true)]
#[expect(clippy::too_many_lines, reason = "one call after the other")]
async fn observers_and_facts_tell_what_became_of_every_call() {
    let fails = Arc::new(AtomicU32::new(0));
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let hears = Arc::clone(&heard);
    let replica_fails = Arc::new(AtomicU32::new(0));
    let chain = FallbackChain::builder("told")
        .replica(Source::service(primary(&replica_fails)))
        .observer(move |event: &Event| hears.lock().push(*event))
        .build();
    let stack = ServiceBuilder::new()
        .layer(chain.layer())
        .service(primary(&fails));
    let call = async || stack.clone().oneshot(1).await;
    call().await.unwrap();
    assert_eq!(chain.condition(), Condition::Up);
    assert!(heard.lock().is_empty());
    fails.store(1, SeqCst);
    call().await.unwrap();
    // Reading the figures changes nothing.
    assert_eq!(chain.snapshot().exhausted, 0);
    assert_eq!(chain.condition(), Condition::Degraded);
    later(&chain).await;
    replica_fails.store(1, SeqCst);
    assert!(call().await.is_err());
    assert!(!chain.facts().is_empty());
    assert_eq!(chain.condition(), Condition::Down);
    later(&chain).await;
    fails.store(0, SeqCst);
    call().await.unwrap();
    assert_eq!(chain.condition(), Condition::Up);

    let heard: Vec<&str> = heard
        .lock()
        .iter()
        .map(|event| match event {
            Event::Failed { tried, .. } => tried.level().as_str(),
            Event::Served { by, .. } => {
                assert_eq!(by.level, Level::Replica);
                "served"
            }
            Event::Exhausted { trail, .. } => {
                assert_eq!(trail.as_slice().len(), 2);
                "exhausted"
            }
            _ => "unknown",
        })
        .collect();
    assert_eq!(
        heard,
        ["primary", "served", "primary", "replica", "exhausted"]
    );

    let facts = chain.facts();
    let fact = |name: &str| facts.iter().find(|fact| fact.0 == name).map(|fact| fact.1);
    assert_eq!(
        (chain.kind(), Inspect::name(&chain).as_str()),
        ("fallback_chains", "told")
    );
    for (name, count) in [
        ("primary_served", 2),
        ("primary_failed", 2),
        ("replica_served", 1),
        ("replica_failed", 1),
        ("exhausted", 1),
        ("degraded", 1),
    ] {
        assert_eq!(fact(name), Some(Value::Count(count)), "{name}");
    }
    assert!(matches!(
        fact("replica_last_success"),
        Some(Value::Time(Some(_)))
    ));
    assert_eq!(fact("backup_served"), None);
}

#[tokio::test]
async fn the_services_of_every_layer_share_the_figures() {
    let fails = Arc::new(AtomicU32::new(1));
    let chain = FallbackChain::builder("shared")
        .default_value(String::new())
        .build();
    for _ in 0..3 {
        let stack = chain.clone().layer().layer(primary(&fails));
        stack.oneshot(1).await.unwrap();
    }
    assert_eq!(chain.snapshot().degraded(), 3);
}

#[tokio::test]
async fn a_client_with_an_error_of_its_own_gets_room_from_below() {
    let chain = FallbackChain::builder("widened")
        .default_value("default")
        .build();
    let stack = ServiceBuilder::new()
        .layer(chain.layer())
        .layer(WidenLayer)
        .service(service_fn(async |_: u32| Err::<&str, _>(std::fmt::Error)));
    assert_eq!(stack.oneshot(1).await.unwrap(), "default");
}

// proves: FC-3
#[tokio::test]
async fn a_callers_error_is_an_answer_and_the_chain_none_the_worse() {
    let verdict = |result: Result<&(), &Failure>| match result {
        Ok(()) | Err(Error::Inner(_)) => Verdict::Success,
        Err(_) => Verdict::Failure,
    };
    let chain = FallbackChain::builder("callers")
        .primary(Source::function(async |_: u32| {
            Err(Error::Inner(std::io::Error::other("no such order")))
        }))
        .default_value(())
        .build();
    let exhausted = chain.run_by(by(verdict), 1).await.unwrap_err();
    assert!(exhausted.answered && exhausted.failed.len() == 1);
    assert!(
        exhausted
            .to_string()
            .starts_with("callers has answered with an error: primary")
    );
    let source = exhausted.source().unwrap().to_string();
    assert_eq!(source, "no such order");
    let snapshot = chain.snapshot();
    let primary = &snapshot.levels[0];
    assert_eq!(
        (primary.served, primary.failed, snapshot.exhausted),
        (1, 0, 0)
    );
    assert_eq!(chain.condition(), Condition::Up);
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_of_a_level_is_known_with_and_without_its_time() {
    let fails = Arc::new(AtomicU32::new(0));
    let chain = FallbackChain::builder("last")
        .primary(Source::function(async |_: u32| {
            Ok::<_, Failure>(String::new())
        }))
        .build();
    let second = Duration::from_secs(1);
    let last = || chain.snapshot().levels[0].last_success;
    // Its own primary's has a time, the service's below a layer has none.
    chain.run(1).await.unwrap();
    sleep(second).await;
    assert_eq!(last(), Some(second));
    let stack = chain.layer().layer(primary(&fails));
    stack.oneshot(1).await.unwrap();
    assert_eq!(last(), Some(Duration::ZERO));
    sleep(second).await;
    assert_eq!(last(), Some(second));
}

/// Not `Clone`.
struct Upload(Option<u32>);

// proves: FC-1
#[tokio::test]
async fn a_request_that_is_not_clone_is_cloned_by_a_function_as_far_as_it_can_be() {
    let chain = FallbackChain::builder("uploads")
        .replica(Source::function(async |upload: Upload| {
            Ok::<_, Failure>(upload.0)
        }))
        .default_value(None)
        .build();
    let copy = |upload: &Upload| upload.0.map(|bytes| Upload(Some(bytes)));
    let stack = chain.layer().clone_by(copy).layer(service_fn(|_: Upload| {
        std::future::ready(Err::<Option<u32>, _>(down()))
    }));
    for (bytes, level) in [(Some(7), 1), (None, 2)] {
        let answer = stack.clone().oneshot(Upload(bytes)).await.unwrap();
        assert_eq!(answer, bytes);
        assert_eq!(chain.snapshot().levels[level].served, 1);
    }
}

#[tokio::test]
async fn an_answer_of_a_primary_of_the_chains_own_is_no_news() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let chain = FallbackChain::<u32, u32, Failure>::builder("quiet")
        .primary(Source::function(async |number| Ok(number)))
        .observer(move |event: &Event| hears.lock().push(*event))
        .build();
    chain.run(7).await.unwrap();
    assert!(heard.lock().is_empty());
    assert_eq!(chain.snapshot().levels[0].served, 1);
}

#[tokio::test]
async fn a_value_that_panics_has_not_answered() {
    let heard = Arc::new(AtomicU32::new(0));
    let hears = Arc::clone(&heard);
    let chain = FallbackChain::<u32, u32, Failure>::builder("panics")
        .default(Source::with(|| panic!("a bug")))
        .observer(move |event: &Event| {
            if matches!(event, Event::Served { .. }) {
                hears.fetch_add(1, SeqCst);
            }
        })
        .build();
    for layered in [false, true] {
        let chain_ = chain.clone();
        let panicked = if layered {
            let stack = chain_
                .layer()
                .layer(service_fn(async |_: u32| Err::<u32, _>(down())));
            let mut call = task::spawn(stack.oneshot(1));
            catch_unwind(AssertUnwindSafe(|| call.poll().is_ready()))
        } else {
            let mut call = task::spawn(chain_.run(1));
            catch_unwind(AssertUnwindSafe(|| call.poll().is_ready()))
        };
        assert!(panicked.is_err());
    }
    assert_eq!(
        (chain.snapshot().levels[1].served, heard.load(SeqCst)),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn one_call_that_comes_too_late_is_no_outage() {
    let calls: Arc<AtomicU32> = Arc::default();
    let chain = FallbackChain::builder("late")
        .primary(level::<u32>(0, Does::Answers, &calls))
        .build();
    chain.run(1).await.unwrap();
    sleep(5 * SECOND).await;
    assert_eq!(chain.condition(), Condition::Up);
    sleep(5 * SECOND).await;
    assert_eq!(chain.condition(), Condition::Up);
    let passed = Deadline::at(Instant::now());
    assert!(chain.run_before(passed, 1).await.is_err());
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(chain.condition(), Condition::Up);
}

// proves: FC-3
#[tokio::test]
async fn after_a_panic_nobody_else_is_asked() {
    let calls: Arc<AtomicU32> = Arc::default();
    let panics: Source<u32, u32, Failure> = Source::function(async |_| panic!("a bug"));
    let counts = Arc::clone(&calls);
    let counted = Source::function(move |_| {
        counts.fetch_add(1, SeqCst);
        std::future::ready(Ok(1))
    });
    let chain = FallbackChain::builder("panics")
        .replica(panics)
        .backup(counted)
        .build();
    let stack = chain.layer().layer(service_fn(async |_: u32| Err(down())));
    let mut call = task::spawn(stack.oneshot(1));
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll().is_ready())).is_err());
    let _ = catch_unwind(AssertUnwindSafe(|| call.poll().is_ready()));
    assert_eq!(calls.load(SeqCst), 0);
}
