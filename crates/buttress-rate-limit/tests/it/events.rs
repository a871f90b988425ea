use std::sync::Arc;

use buttress_rate_limit::{Event, Rate, RateLimit};
use buttress_sync::Mutex;

#[tokio::test(start_paused = true)]
async fn refusals_and_changes_are_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&told);
    let limit = RateLimit::builder("test")
        .token_bucket(Rate::per_second(1))
        .observer(move |event: &Event| ears.lock().push(*event))
        .build();
    drop(limit.try_acquire());
    let rejected = limit.try_acquire().unwrap_err();
    limit.set_rate(Rate::per_second(2)).unwrap();
    limit.close();
    limit.close();
    let told = told.lock();
    assert!(matches!(told[0], Event::Refused { rejected: told, .. } if told == rejected));
    assert!(matches!(told[1], Event::RateChanged { rate, .. } if rate == Rate::per_second(2)));
    assert!(matches!(told[2], Event::Closed));
    assert_eq!(told.len(), 3);
}

// proves: A-13
#[tokio::test(start_paused = true)]
async fn an_observer_may_use_the_limit() {
    let place: Arc<Mutex<Option<RateLimit>>> = Arc::default();
    let seen = Arc::clone(&place);
    let limit = RateLimit::builder("test")
        .leaky_bucket(Rate::per_second(1))
        .queue(1)
        .observer(move |_: &Event| {
            if let Some(limit) = &*seen.lock() {
                let _ = limit.snapshot();
            }
        })
        .build();
    *place.lock() = Some(limit.clone());
    drop(limit.try_acquire());
    let _waiting = limit.reserve(1).unwrap();
    assert!(limit.reserve(1).is_err());
    limit.set_rate(Rate::per_second(2)).unwrap();
    limit.close();
    // The circle would never be freed.
    *place.lock() = None;
}
