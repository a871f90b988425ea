//! Caches that several processes share, and that can be down.

use std::error::Error;
use std::future::{Pending, Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::{Keep, Level, Outcome, Reason, Verdict};
use buttress_fallback::{
    Cause, DistributedCache, DistributedCacheLevel, FallbackChain, InMemory, Source,
};
use tokio::time::sleep;
use tokio_test::{assert_pending, task};

use crate::caches::{Told, by_key, find};
use crate::support::{Answer, Does, Failure, down, level};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn chains_share_what_a_distributed_cache_keeps() {
    let shared = InMemory::new(10, 1000, 60 * SECOND);
    let chain = |told: &Told| {
        let cache = DistributedCacheLevel::keyed(shared.clone(), by_key).stale_for(20 * SECOND);
        FallbackChain::builder("shared")
            .primary(told.source())
            .distributed_cache(cache)
            .build()
    };
    let (well, ill) = (Told::new(), Told::new());
    ill.to(Does::Fails);
    chain(&well).run(find(1)).await.unwrap();
    assert_eq!(shared.size().0, 1);
    sleep(5 * SECOND).await;
    let served = chain(&ill).run(find(1)).await.unwrap();
    assert_eq!(
        (served.by.level, served.by.age),
        (Level::DistributedCache, Some(5 * SECOND))
    );
    sleep(15 * SECOND).await;
    assert!(
        chain(&ill).run(find(1)).await.is_err(),
        "older than this chain takes"
    );
}

/// A cache that is down, or hangs.
struct Broken;

impl DistributedCache<u32, Answer> for Broken {
    type Get = Ready<Result<Option<(Answer, Duration)>, Box<dyn Error + Send + Sync>>>;

    fn get(&self, _: &u32) -> Self::Get {
        ready(Err("connection refused".into()))
    }

    fn put(&self, _: &u32, _: Answer, _: Keep) {}

    fn forget(&self, _: &u32, _: Duration) {}
}

struct Hanging;

impl DistributedCache<u32, Answer> for Hanging {
    type Get = Pending<Result<Option<(Answer, Duration)>, Box<dyn Error + Send + Sync>>>;

    fn get(&self, _: &u32) -> Self::Get {
        pending()
    }

    fn put(&self, _: &u32, _: Answer, _: Keep) {}

    fn forget(&self, _: &u32, _: Duration) {}
}

// proves: FC-5
#[tokio::test(start_paused = true)]
async fn a_cache_that_cannot_be_asked_is_passed_over_in_its_time() {
    let calls = Arc::default();
    let answer = Answer {
        place: 9,
        verdict: Verdict::Success,
    };
    let builder = || {
        FallbackChain::builder("broken")
            .primary(level::<u32>(0, Does::Fails, &calls))
            .default_value(answer)
    };
    let key = |key: &u32| Some(*key);
    let chain = builder()
        .distributed_cache(DistributedCacheLevel::keyed(Broken, key))
        .build();
    let served = chain.run(1).await.unwrap();
    assert_eq!(served.by.errors.as_slice()[1].outcome(), Outcome::Failed);
    let hanging = DistributedCacheLevel::keyed(Hanging, key)
        .time(SECOND)
        .limit(1);
    let chain = builder().distributed_cache(hanging).build();
    let mut first = task::spawn(chain.run(1));
    assert_pending!(first.poll());
    let outcome = |served: buttress_fallback::Served<Answer, Failure>| {
        served.by.errors.as_slice()[1].outcome().as_str()
    };
    assert_eq!(outcome(chain.run(1).await.unwrap()), "overloaded");
    sleep(SECOND).await;
    assert_eq!(outcome(first.await.unwrap()), "timed-out");
}

/// A cache that counts the looks that have begun.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU32>);

impl DistributedCache<u32, Answer> for Counting {
    type Get = Pending<Result<Option<(Answer, Duration)>, Box<dyn Error + Send + Sync>>>;

    fn get(&self, _: &u32) -> Self::Get {
        self.0.fetch_add(1, SeqCst);
        pending()
    }

    fn put(&self, _: &u32, _: Answer, _: Keep) {}

    fn forget(&self, _: &u32, _: Duration) {}
}

// proves: FC-5
#[tokio::test(start_paused = true)]
async fn a_distributed_cache_is_not_asked_beyond_its_limit() {
    let (calls, cache) = (Arc::default(), Counting::default());
    let level_of = DistributedCacheLevel::keyed(cache.clone(), |key: &u32| Some(*key));
    let chain = FallbackChain::builder("counting")
        .primary(level::<u32>(0, Does::Fails, &calls))
        .distributed_cache(level_of.limit(1))
        .build();
    let mut first = task::spawn(chain.run(1));
    assert_pending!(first.poll());
    assert_eq!(cache.0.load(SeqCst), 1);
    let exhausted = chain.run(1).await.unwrap_err();
    assert_eq!(exhausted.failed[1].tried.outcome().as_str(), "overloaded");
    assert_eq!(cache.0.load(SeqCst), 1, "nothing was begun in vain");
}

/// A cache that cannot be asked.
struct Gone;

impl DistributedCache<u32, u32> for Gone {
    type Get = Ready<Result<Option<(u32, Duration)>, Box<dyn Error + Send + Sync>>>;

    fn get(&self, _: &u32) -> Self::Get {
        ready(Err("no connection".into()))
    }

    fn put(&self, _: &u32, _: u32, _: Keep) {}

    fn forget(&self, _: &u32, _: Duration) {}
}

#[tokio::test]
async fn a_breaker_spares_a_cache_that_cannot_be_asked_and_its_error_is_told() {
    let breaker = CircuitBreaker::builder("cache")
        .consecutive_failures(3)
        .build();
    let cache = DistributedCacheLevel::keyed(Gone, |key: &u32| Some(*key)).gate(breaker.clone());
    let chain = FallbackChain::builder("gone")
        .primary(Source::function(async |_: u32| Err::<u32, _>(down())))
        .distributed_cache(cache)
        .build();
    for _ in 0..3 {
        let out = chain.run(1).await.unwrap_err();
        assert!(
            matches!(&out.failed[1].cause, Cause::Cache(error) if error.to_string() == "no connection")
        );
    }
    let out = chain.run(1).await.unwrap_err();
    let outcome = out.failed[1].tried.outcome();
    assert_eq!(outcome, Outcome::Refused(Reason::Unavailable));
    let cache = &chain.snapshot().levels[1];
    assert_eq!((cache.failed, cache.passed_over), (3, 1));
}
