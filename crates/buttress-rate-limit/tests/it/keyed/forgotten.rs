//! Permits of keys that have been forgotten, or never had a place of their own.

use buttress_core::Settle;
use buttress_rate_limit::{KeyedRateLimit, Rate, RateLimit, RateLimitBuilder};

use crate::support::{advance, secs};

/// A minute is long enough for a bucket, too, to be full again.
fn two_a_minute() -> [RateLimitBuilder; 2] {
    [
        RateLimit::builder("per-key").token_bucket(Rate::per_minute(2)),
        RateLimit::builder("per-key").bucketed_window(Rate::per_minute(2)),
    ]
}

/// The window of the key is another one by then, though it looks the same; and a window takes nothing back that has left it.
// proves: RL-1, A-1
#[tokio::test(start_paused = true)]
async fn a_permit_of_a_forgotten_window_gives_nothing_back_to_the_next_one_of_its_key() {
    for is_reset in [true, false] {
        let [_, window] = two_a_minute();
        let limit: KeyedRateLimit<u64> = window.keyed().max_keys(1).build();
        let old = limit.try_acquire(&1).unwrap();
        if is_reset {
            assert!(limit.reset(&1));
        } else {
            advance(secs(60)).await;
            drop(limit.try_acquire(&2).unwrap());
            assert_eq!(limit.snapshot().overflow_count, 0);
            assert!(limit.reset(&2));
        }
        drop(limit.try_acquire_many(&1, 2).unwrap());
        old.give_back();
        assert!(limit.try_acquire(&1).is_err());
    }
}

// proves: A-1
#[tokio::test(start_paused = true)]
async fn a_permit_of_the_shared_limit_tells_of_it_and_gives_back_to_it() {
    for builder in two_a_minute() {
        let limit: KeyedRateLimit<u64> = builder.keyed().max_keys(1).build();
        drop(limit.try_acquire_many(&1, 2).unwrap());
        let shared = limit.try_acquire(&2).unwrap();
        assert_eq!(shared.quota().unwrap().remaining, 1);
        let other = limit.try_acquire(&3).unwrap();
        assert_eq!(shared.quota().unwrap().remaining, 0);

        // It has a place of its own now, from which nothing was taken: neither does it get anything back.
        assert!(limit.reset(&1));
        drop(limit.try_acquire_many(&2, 2).unwrap());
        assert_eq!(shared.quota().unwrap().remaining, 0);
        other.give_back();
        assert_eq!(shared.quota().unwrap().remaining, 1);
        shared.give_back();
        assert_eq!(limit.quota(&2).remaining, 0);
        drop(limit.try_acquire_many(&4, 2).unwrap());
        assert!(limit.try_acquire(&5).is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_call_of_the_shared_limit_has_cost_beyond_is_owed_there() {
    for builder in two_a_minute() {
        let limit: KeyedRateLimit<u64> = builder.keyed().max_keys(1).build();
        drop(limit.try_acquire(&1).unwrap());
        let shared = limit.try_acquire(&2).unwrap();
        assert!(limit.reset(&1));
        assert!(limit.try_acquire(&2).is_ok());
        shared.correct(2);
        assert!(limit.try_acquire(&3).is_err());
        assert!(limit.try_acquire(&2).is_ok());
    }
}
