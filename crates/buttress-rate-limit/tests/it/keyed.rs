mod changing;
mod forgotten;

use buttress_core::Settle;
use buttress_rate_limit::{KeyedRateLimit, MissingKey, Rate, RateLimit, RateLimitBuilder};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{advance, secs, throttled};

fn two_a_second() -> RateLimitBuilder {
    RateLimit::builder("per-key").token_bucket(Rate::per_second(2))
}

fn drain(limit: &KeyedRateLimit<u64>, key: u64) -> u32 {
    let mut taken = 0;
    while limit.try_acquire(&key).is_ok() {
        taken += 1;
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn every_key_has_a_limit_of_its_own() {
    for builder in [
        two_a_second(),
        RateLimit::builder("per-key").sliding_window(Rate::per_second(2)),
        RateLimit::builder("per-key").bucketed_window(Rate::per_second(2)),
    ] {
        let limit = builder.keyed().build();
        for key in 0..1000 {
            assert_eq!(drain(&limit, key), 2);
        }
        assert_eq!(limit.snapshot().keys, 1000);
        advance(secs(1)).await;
        assert_eq!(drain(&limit, 7), 2);
    }
}

// proves: RL-5, RL-6
#[tokio::test(start_paused = true)]
async fn a_limited_key_stays_limited_and_the_others_share_what_is_left() {
    let limit = two_a_second().keyed().max_keys(10).build();
    for key in 0..10 {
        assert_eq!(drain(&limit, key), 2);
    }
    let others: u32 = (10..10_000).map(|key| drain(&limit, key)).sum();
    assert_eq!(others, 2, "all of them share one limit");
    for key in 0..10 {
        assert!(limit.try_acquire(&key).is_err());
    }
    let snapshot = limit.snapshot();
    assert_eq!((snapshot.keys, snapshot.max_keys), (10, 10));
    assert!(snapshot.overflow_count > 9000);

    // Once those at rest have nothing spent, new ones take their places.
    advance(secs(1)).await;
    for key in 20..30 {
        assert_eq!(drain(&limit, key), 2);
    }
    assert_eq!(limit.snapshot().keys, 10);
}

#[tokio::test(start_paused = true)]
async fn another_rate_holds_for_every_key_and_leaves_what_was_spent() {
    for builder in [
        RateLimit::builder("per-key").token_bucket(Rate::per_second(10)),
        RateLimit::builder("per-key").sliding_window(Rate::per_second(10)),
    ] {
        let limit: KeyedRateLimit<u64> = builder.keyed().build();
        drop(limit.try_acquire_many(&1, 8));
        // More often than a bucket remembers its terms.
        for units in 11..=20 {
            limit.set_rate(Rate::per_second(units)).unwrap();
        }
        assert_eq!(drain(&limit, 1), 12);
        assert_eq!(drain(&limit, 2), 20);
        assert_eq!(limit.quota(&3).remaining, 20);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_key_gives_back_is_its_own() {
    let limit: KeyedRateLimit<u64> = two_a_second().keyed().build();
    let permit = limit.try_acquire_many(&1, 2).unwrap();
    assert_eq!(drain(&limit, 1), 0);
    permit.give_back();
    assert_eq!(drain(&limit, 1), 2);
    limit.try_acquire_many(&2, 1).unwrap().correct(3);
    let wait = throttled(limit.try_acquire(&2).unwrap_err());
    assert_eq!(wait, Some(secs(1)));
    assert!(limit.reset(&2));
    assert!(!limit.reset(&2));
    assert_eq!(drain(&limit, 2), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_key_is_refused_or_shares_by_choice() {
    let echo = || service_fn(|key: Option<u64>| async move { Ok::<_, tower::BoxError>(key) });
    let key = |key: &Option<u64>| *key;

    let strict = two_a_second().keyed().build();
    let service = strict.by(key).layer(echo());
    let error = service.clone().oneshot(None).await.unwrap_err();
    let rejected = buttress_core::find_rejection(&*error).unwrap();
    assert_eq!(throttled(rejected), None);
    assert!(service.oneshot(Some(1)).await.is_ok());
    assert_eq!(strict.snapshot().without_key_count, 1);

    let sharing = two_a_second().keyed().missing_key(MissingKey::Share);
    let sharing = sharing.build();
    let service = sharing.by(key).layer(echo());
    for admitted in [true, true, false] {
        let answer = service.clone().oneshot(None).await;
        assert_eq!(answer.is_ok(), admitted);
    }
    assert!(service.oneshot(Some(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_permit_knows_what_is_left_to_its_key() {
    let limit: KeyedRateLimit<&str> = two_a_second().keyed().build();
    let permit = limit.try_acquire(&"anna").unwrap();
    assert_eq!(permit.quota().unwrap().remaining, 1);
    assert_eq!(permit.quota().unwrap().policy.limit, 2);
}
