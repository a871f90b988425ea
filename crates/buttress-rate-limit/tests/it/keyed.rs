mod changing;
mod forgotten;

use buttress_core::Settle;
use buttress_rate_limit::{
    KeyedPermit, KeyedRateLimit, MissingKey, Rate, RateLimit, RateLimitBuilder,
};
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

fn three_algorithms(rate: Rate) -> [RateLimitBuilder; 3] {
    let builder = || RateLimit::builder("per-key");
    [
        builder().token_bucket(rate),
        builder().sliding_window(rate),
        builder().bucketed_window(rate),
    ]
}

/// Also when the key has got a place of its own since.
// proves: RL-6, A-1
#[tokio::test(start_paused = true)]
async fn what_was_taken_from_the_shared_limit_is_told_of_it_and_goes_back_there() {
    for builder in three_algorithms(Rate::per_hour(5)) {
        let limit = builder.keyed().max_keys(1).build();
        let _busy = limit.try_acquire(&1).unwrap();
        let shares = limit.try_acquire_many(&2, 2).unwrap();
        assert_eq!(shares.quota().unwrap().remaining, 3, "and not all of it");
        assert!(limit.reset(&1));
        let own = limit.try_acquire_many(&2, 3).unwrap();
        let left = |permit: &KeyedPermit<u64>| permit.quota().unwrap().remaining;
        assert_eq!((left(&shares), left(&own)), (3, 2));
        shares.give_back();
        assert_eq!(left(&own), 2, "nothing of it came from there");
        let others = limit.try_acquire(&3).unwrap();
        assert_eq!(left(&others), 4);
        others.correct(3);
        assert_eq!(left(&limit.try_acquire(&3).unwrap()), 1);
        assert_eq!(limit.quota(&2).remaining, 2);
    }
}

/// A key that comes again after it was forgotten starts in the same place; its old receipts are none of that.
// proves: A-1
#[tokio::test(start_paused = true)]
async fn a_window_takes_nothing_back_that_was_taken_before_its_key_was_forgotten() {
    for builder in three_algorithms(Rate::per_hour(5)).into_iter().skip(1) {
        let limit = builder.keyed().max_keys(1).build();
        let by_hand = limit.try_acquire_many(&1, 2).unwrap();
        assert!(limit.reset(&1));
        let _taken = limit.try_acquire_many(&1, 2).unwrap();
        by_hand.give_back();
        assert_eq!(limit.quota(&1).remaining, 3);

        let for_another = limit.try_acquire_many(&1, 3).unwrap();
        advance(secs(3600)).await;
        let _other = limit.try_acquire(&2).unwrap();
        advance(secs(3600)).await;
        let _taken = limit.try_acquire_many(&1, 5).unwrap();
        for_another.give_back();
        assert_eq!(limit.quota(&1).remaining, 0);
    }
}

/// Keys take on a new rate when they come; one that does not come makes room all the same.
// proves: RL-6
#[tokio::test(start_paused = true)]
async fn a_key_that_has_not_heard_of_a_new_rate_is_judged_by_it() {
    let builder = RateLimit::builder("per-key").sliding_window(Rate::per_second(5));
    let limit = builder.keyed().max_keys(1).build();
    let _taken = limit.try_acquire_many(&1, 5).unwrap();
    limit.set_rate(Rate::per_minute(5)).unwrap();
    advance(secs(2)).await;
    let _other = limit.try_acquire(&2).unwrap();
    assert_eq!(
        limit.snapshot().overflow_count,
        1,
        "it is in the longer window"
    );
    advance(secs(58)).await;
    let _other = limit.try_acquire(&2).unwrap();
    assert_eq!(limit.snapshot().overflow_count, 1);
}
