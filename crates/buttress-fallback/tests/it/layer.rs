//! The layer, and what it tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use buttress_core::{Condition, Inspect, Level, ServedBy, Value, WidenLayer};
use buttress_fallback::{Event, FallbackChain, Source};
use buttress_sync::Mutex;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{Failure, down};

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
        "none, by default after primary failed after 0ns"
    );
    fails.store(0, SeqCst);
    assert_eq!(stack.oneshot(1).await.unwrap(), "primary 1");
}

// proves: FC-2
#[tokio::test]
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
    assert_eq!(chain.condition(), Condition::Degraded);
    replica_fails.store(1, SeqCst);
    assert!(call().await.is_err());
    assert_eq!(chain.condition(), Condition::Down);
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
