use std::time::Duration;

use buttress_core::Reason;
use buttress_rate_limit::{Rate, RateLimit, RateLimitBuilder};

use crate::support::{advance, ms, secs, throttled};

const NANO: Duration = Duration::from_nanos(1);

fn limit() -> RateLimitBuilder {
    RateLimit::builder("test")
}

/// Takes units one by one until one is refused, and tells how many there were.
fn drain(limit: &RateLimit) -> u32 {
    let mut taken = 0;
    while limit.try_acquire().is_ok() {
        taken += 1;
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn a_token_bucket_admits_its_capacity_refuses_the_next_and_refills_with_time() {
    let limit = limit().build();
    assert_eq!(drain(&limit), 1000);
    advance(secs(1)).await;
    assert_eq!(drain(&limit), 100);
    advance(secs(3600)).await;
    assert_eq!(drain(&limit), 1000, "no more than it holds");
}

#[tokio::test(start_paused = true)]
async fn a_sliding_window_admits_its_limit_refuses_the_next_and_slides() {
    let limit = limit().sliding_window(Rate::per_minute(1000)).build();
    for _ in 0..10 {
        for _ in 0..100 {
            assert!(limit.try_acquire().is_ok());
        }
        advance(secs(3)).await;
    }
    assert_eq!(drain(&limit), 0);
    advance(secs(30)).await;
    assert_eq!(drain(&limit), 100, "those of the first moment have left it");
    advance(secs(3)).await;
    assert_eq!(drain(&limit), 100);
}

#[tokio::test(start_paused = true)]
async fn a_bucketed_window_frees_a_slot_at_a_time() {
    let limit = limit().bucketed_window(Rate::per_minute(64_000)).build();
    assert_eq!(drain(&limit), 64_000);
    advance(secs(60)).await;
    assert_eq!(drain(&limit), 64_000);
}

// proves: RL-3
#[tokio::test(start_paused = true)]
async fn waiting_as_long_as_the_refusal_says_is_enough_and_a_nanosecond_less_is_not() {
    let builders = [
        limit().token_bucket(Rate::per_second(3).burst(2)),
        limit().sliding_window(Rate::per_minute(7)),
        limit().bucketed_window(Rate::per_minute(700)),
        limit().leaky_bucket(Rate::per_second(50)),
    ];
    for limit in builders.map(RateLimitBuilder::build) {
        for step in [ms(1), ms(7), ms(333)] {
            drain(&limit);
            advance(step).await;
            drain(&limit);
            let wait = throttled(limit.try_acquire().unwrap_err()).unwrap();
            assert!(wait > Duration::ZERO);
            advance(wait - NANO).await;
            let again = throttled(limit.try_acquire().unwrap_err());
            assert_eq!(again, Some(NANO), "{limit:?}");
            advance(NANO).await;
            assert!(limit.try_acquire().is_ok(), "{limit:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_weighs_more_than_the_capacity_is_told_no_time() {
    for builder in [
        limit().token_bucket(Rate::per_second(10).burst(5)),
        limit().sliding_window(Rate::per_second(5)),
    ] {
        let limit = builder.build();
        assert_eq!(throttled(limit.try_acquire_many(6).unwrap_err()), None);
        assert!(limit.try_acquire_many(5).is_ok());
        assert!(throttled(limit.try_acquire_many(5).unwrap_err()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_can_be_taken_again_and_what_cost_more_is_owed() {
    let limit = limit().token_bucket(Rate::per_second(1).burst(10)).build();
    let permit = limit.try_acquire_many(10).unwrap();
    assert_eq!(limit.quota().remaining, 0);
    permit.give_back();
    assert_eq!(limit.quota().remaining, 10);

    limit.try_acquire_many(8).unwrap().correct(3);
    assert_eq!(limit.quota().remaining, 7);
    limit.try_acquire_many(7).unwrap().correct(12);
    assert_eq!(limit.quota().remaining, 0);
    let wait = throttled(limit.try_acquire().unwrap_err()).unwrap();
    assert_eq!(wait, secs(6), "five are owed");
    // However much it was: no more than the capacity is owed.
    advance(secs(100)).await;
    limit.try_acquire_many(10).unwrap().correct(1_000_000);
    let wait = throttled(limit.try_acquire().unwrap_err()).unwrap();
    assert_eq!(wait, secs(11));
}

#[tokio::test(start_paused = true)]
async fn a_window_takes_back_what_was_taken_last() {
    let limit = limit().sliding_window(Rate::per_minute(2)).build();
    drop(limit.try_acquire().unwrap());
    limit.try_acquire().unwrap().give_back();
    assert_eq!(limit.quota().remaining, 1);
    assert_eq!(drain(&limit), 1);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_has_taken_what_it_took() {
    let limit = limit().token_bucket(Rate::per_second(1).burst(1)).build();
    drop(limit.try_acquire().unwrap());
    assert!(limit.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn another_rate_leaves_what_was_spent() {
    let limit = limit()
        .token_bucket(Rate::per_second(100).burst(1000))
        .build();
    limit.try_acquire_many(900).map(drop).unwrap();
    limit.set_rate(Rate::per_second(1).burst(1000)).unwrap();
    assert_eq!(limit.quota().remaining, 100);
    limit.set_rate(Rate::per_second(1).burst(950)).unwrap();
    assert_eq!(limit.quota().remaining, 50);
    limit.set_rate(Rate::per_second(1).burst(10)).unwrap();
    assert_eq!(drain(&limit), 0);
    advance(secs(891)).await;
    assert_eq!(drain(&limit), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_of_a_window_counts_what_is_in_it() {
    let limit = limit().sliding_window(Rate::per_minute(1000)).build();
    for _ in 0..500 {
        assert!(limit.try_acquire().is_ok());
    }
    advance(secs(10)).await;
    limit.set_rate(Rate::per_minute(100)).unwrap();
    assert_eq!(drain(&limit), 0);
    advance(secs(50)).await;
    assert_eq!(drain(&limit), 100);
    limit.set_rate(Rate::per_minute(150)).unwrap();
    assert_eq!(drain(&limit), 50);
}

#[tokio::test(start_paused = true)]
async fn a_closed_limit_admits_nobody() {
    let limit = limit().build();
    limit.close();
    limit.close();
    let rejected = limit.try_acquire().unwrap_err();
    assert_eq!(rejected.reason(), Reason::Unavailable);
    assert!(rejected.retry_after().is_some());
    let rejected = limit.acquire().await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::Unavailable);
    assert!(limit.snapshot().closed);
}

#[tokio::test(start_paused = true)]
async fn the_figures_add_up() {
    let limit = limit().token_bucket(Rate::per_second(10).burst(20)).build();
    for _ in 0..25 {
        let _ = limit.try_acquire();
    }
    let snapshot = limit.snapshot();
    assert_eq!(snapshot.admitted_count, 20);
    assert_eq!(snapshot.refused_count, 5);
    assert_eq!((snapshot.limit, snapshot.remaining), (20, 0));
    let quota = limit.quota();
    assert_eq!(quota.policy.window, secs(2));
    assert_eq!(quota.reset, secs(2));
}

// proves: RL-8
#[tokio::test(start_paused = true)]
async fn a_refusal_allocates_nothing() {
    for limit in [
        limit().token_bucket(Rate::per_second(1)),
        limit().sliding_window(Rate::per_second(1)),
        limit().bucketed_window(Rate::per_second(1)),
    ]
    .map(RateLimitBuilder::build)
    {
        drop(limit.try_acquire());
        let made = allocation_counter::measure(|| assert!(limit.try_acquire().is_err()));
        assert_eq!(made.count_total, 0);
    }
    let keyed = limit()
        .token_bucket(Rate::per_second(1))
        .keyed()
        .build::<u64>();
    drop(keyed.try_acquire(&7));
    let made = allocation_counter::measure(|| assert!(keyed.try_acquire(&7).is_err()));
    assert_eq!(made.count_total, 0);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_raised_serves_who_keeps_to_nearly_all_of_it() {
    let limit = limit().sliding_window(Rate::per_second(1)).build();
    limit.set_rate(Rate::per_second(100)).unwrap();
    for _ in 0..1000 {
        advance(Rate::per_second(97).interval()).await;
        assert!(limit.try_acquire().is_ok());
    }
}
