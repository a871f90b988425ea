//! What caches keep, for whom, and what they never do.

use std::future::ready;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use buttress_core::{Level, Outcome, by};
use buttress_fallback::{DistributedCacheLevel, FallbackChain, InMemory, LocalCache, Source};
use buttress_sync::Mutex;
use tokio::time::sleep;
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Does, Failure, down, judge, level, play};

const SECOND: Duration = Duration::from_secs(1);

/// What a request asks, and for whom.
#[derive(Clone, Copy)]
pub(crate) struct Find {
    tenant: Option<u32>,
    key: u32,
}

/// Does what it is told at the moment.
#[derive(Clone)]
pub(crate) struct Told(Arc<Mutex<Does>>);

impl Told {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Does::Answers)))
    }

    pub(crate) fn to(&self, does: Does) {
        *self.0.lock() = does;
    }

    /// Answers with the request itself.
    pub(crate) fn source(&self) -> Source<Find, (u32, Option<u32>), Failure> {
        let told = self.clone();
        Source::function(move |find: Find| {
            let does = *told.0.lock();
            async move { play(0, does).await.map(|_| (find.key, find.tenant)) }
        })
    }
}

pub(crate) fn find(key: u32) -> Find {
    Find { tenant: None, key }
}

pub(crate) fn by_key(find: &Find) -> Option<u32> {
    (find.key < 100).then_some(find.key)
}

#[tokio::test(start_paused = true)]
async fn an_answer_outlives_its_primary_until_it_is_stale() {
    let told = Told::new();
    let chain = FallbackChain::builder("cached")
        .primary(told.source())
        .local_cache(LocalCache::keyed(by_key).stale_for(10 * SECOND))
        .build();
    chain.run(find(1)).await.unwrap();
    told.to(Does::Fails);
    sleep(3 * SECOND).await;
    let served = chain.run(find(1)).await.unwrap();
    assert_eq!(served.answer, (1, None));
    assert_eq!(
        (served.by.level, served.by.degraded),
        (Level::LocalCache, true)
    );
    assert_eq!(served.by.age, Some(3 * SECOND));
    // Of another key, and of a request without one, nothing is kept.
    for key in [2, 100] {
        let exhausted = chain.run(find(key)).await.unwrap_err();
        assert_eq!(exhausted.failed[1].tried.outcome(), Outcome::Missing);
    }
    sleep(7 * SECOND).await;
    assert!(chain.run(find(1)).await.is_err());
    let cache = &chain.snapshot().levels[1];
    assert_eq!((cache.served, cache.failed), (1, 0));
    assert_eq!((cache.passed_over, cache.entries), (3, 1));
}

// proves: FC-3
#[tokio::test(start_paused = true)]
async fn no_failure_is_ever_kept() {
    for does in crate::support::EVERYTHING {
        let (fails, calls) = (Arc::new(AtomicU32::new(0)), Arc::default());
        let told = Arc::clone(&fails);
        let chain = FallbackChain::builder("poisoned")
            .primary(Source::function(move |_: u32| {
                let first = told.fetch_add(1, SeqCst) == 0;
                play(0, if first { does } else { Does::Fails })
            }))
            .replica(level(1, Does::Fails, &calls))
            .local_cache(LocalCache::keyed(|key: &u32| Some(*key)))
            .build();
        let _ = chain.run_by(by(judge), 1).await;
        let kept = chain.snapshot().levels[2].entries;
        assert_eq!(kept, usize::from(does == Does::Answers), "{does:?}");
        let served = chain.run_by(by(judge), 1).await;
        assert_eq!(served.is_ok(), does == Does::Answers, "{does:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_below_is_not_kept_unless_replicas_may_be() {
    for keeps in [false, true] {
        let calls = Arc::default();
        let cache = LocalCache::keyed(|key: &u32| Some(*key));
        let cache = if keeps { cache.keep_replicas() } else { cache };
        let chain = FallbackChain::builder("degraded")
            .primary(level(0, Does::Fails, &calls))
            .replica(level(1, Does::Answers, &calls))
            .local_cache(cache)
            .backup(level(2, Does::Answers, &calls))
            .build();
        chain.run(1).await.unwrap();
        assert_eq!(chain.snapshot().levels[2].entries, usize::from(keeps));
    }
    // Nor is a backup's, or a default.
    let calls = Arc::default();
    let chain = FallbackChain::builder("degraded")
        .primary(level(0, Does::Fails, &calls))
        .local_cache(LocalCache::keyed(|key: &u32| Some(*key)).keep_replicas())
        .backup(level(2, Does::Answers, &calls))
        .build();
    chain.run(1).await.unwrap();
    assert_eq!(chain.snapshot().levels[1].entries, 0);
}

#[tokio::test(start_paused = true)]
async fn tenants_never_meet() {
    let told = Told::new();
    let chain = FallbackChain::builder("tenants")
        .primary(told.source())
        .distributed_cache(
            DistributedCacheLevel::keyed(InMemory::new(10, 1000, 60 * SECOND), by_key)
                .tenant(|find: &Find| find.tenant),
        )
        .local_cache(LocalCache::keyed(by_key).tenant(|find: &Find| find.tenant))
        .build();
    let tenants = [Some(1), Some(2), None];
    for tenant in tenants {
        chain.run(Find { tenant, key: 7 }).await.unwrap();
    }
    told.to(Does::Fails);
    for tenant in [Some(1), Some(2)] {
        let served = chain.run(Find { tenant, key: 7 }).await.unwrap();
        assert_eq!(served.answer, (7, tenant), "its own");
    }
    for tenant in [Some(3), None] {
        assert!(
            chain.run(Find { tenant, key: 7 }).await.is_err(),
            "nobody else's"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded() {
    let told = Told::new();
    let chain = FallbackChain::builder("bounded")
        .primary(told.source())
        .local_cache(
            LocalCache::keyed(by_key)
                .entries(50)
                // A key of four bytes counts as eight.
                .bytes(30 * 9)
                .weigh(|answer: &(u32, Option<u32>)| if answer.0 == 99 { 30 * 9 } else { 1 }),
        )
        .build();
    for key in 0..100 {
        chain.run(find(key)).await.unwrap();
        let cache = &chain.snapshot().levels[1];
        assert!(cache.entries <= 30 && cache.bytes <= 30 * 9);
    }
    told.to(Does::Fails);
    // The last is too large, the thirty before it are there.
    let mut there = Vec::new();
    for key in 0..100 {
        if chain.run(find(key)).await.is_ok() {
            there.push(key);
        }
    }
    assert_eq!(there, (69..99).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_fresh_is_not_asked_for_and_one_is_sent_for_what_is_not() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    // Answers with the number of the call, after a second.
    let primary = service_fn(move |_: u32| {
        let call = counted.fetch_add(1, SeqCst);
        async move {
            sleep(SECOND).await;
            Ok::<_, Failure>(call)
        }
    });
    let cache = LocalCache::keyed(|key: &u32| Some(*key))
        .fresh_for(10 * SECOND)
        .stale_for(60 * SECOND);
    let chain = FallbackChain::builder("fresh").local_cache(cache).build();
    let stack = chain.layer().layer(primary);
    let call = || stack.clone().oneshot(1);
    assert_eq!(call().await.unwrap(), 0);
    // It is as old as the question.
    sleep(8 * SECOND).await;
    assert_eq!((call().await.unwrap(), calls.load(SeqCst)), (0, 1), "fresh");
    sleep(SECOND).await;
    // One asks, and the others need not wait for it.
    let mut sent = task::spawn(call());
    assert_pending!(sent.poll());
    assert_eq!((call().await.unwrap(), call().await.unwrap()), (0, 0));
    assert_eq!(calls.load(SeqCst), 2);
    // It gives up: another is sent.
    drop(sent);
    let mut sent = task::spawn(call());
    assert_pending!(sent.poll());
    assert_eq!((call().await.unwrap(), calls.load(SeqCst)), (0, 3));
    sleep(SECOND).await;
    assert!(matches!(sent.poll(), std::task::Poll::Ready(Ok(2))));
    assert_eq!(
        (call().await.unwrap(), calls.load(SeqCst)),
        (2, 3),
        "fresh again"
    );
}

#[tokio::test(start_paused = true)]
async fn fresh_answers_are_no_degraded_ones() {
    let told = Told::new();
    let cache = LocalCache::keyed(by_key).fresh_for(10 * SECOND);
    let chain = FallbackChain::builder("fresh")
        .primary(told.source())
        .local_cache(cache)
        .build();
    chain.run(find(1)).await.unwrap();
    sleep(SECOND).await;
    let served = chain.run(find(1)).await.unwrap();
    assert_eq!(
        (served.by.level, served.by.degraded, served.by.age),
        (Level::LocalCache, false, Some(SECOND))
    );
    let seen = chain.snapshot();
    assert_eq!(
        (seen.levels[1].served, seen.fresh, seen.degraded()),
        (1, 1, 0)
    );
    told.to(Does::Fails);
    sleep(10 * SECOND).await;
    let served = chain.run(find(1)).await.unwrap();
    assert!(served.by.degraded && served.failed.len() == 1);
    assert_eq!(chain.snapshot().degraded(), 1);
}

// proves: FC-7
#[tokio::test]
async fn keys_count_too_and_large_caches_hold_what_they_are_said_to() {
    let chain = FallbackChain::builder("keys")
        .primary(Source::function(async |_: String| Ok::<_, Failure>(())))
        .local_cache(LocalCache::keyed(|key: &String| Some(key.clone())).bytes(10_000))
        .build();
    for number in 0..100 {
        chain.run(format!("{number:01000}")).await.unwrap();
        assert!(chain.snapshot().levels[1].bytes <= 10_000);
    }
    assert_eq!(chain.snapshot().levels[1].entries, 9);

    // One answer may be as large as all of the cache, however many entries that has room for.
    let chain = FallbackChain::builder("large")
        .primary(Source::function(async |bytes: u32| Ok::<_, Failure>(bytes)))
        .local_cache(
            LocalCache::keyed(|bytes: &u32| Some(*bytes))
                .entries(2000)
                .bytes(10_000)
                .weigh(|bytes: &u32| *bytes as usize),
        )
        .build();
    let size = || {
        let cache = &chain.snapshot().levels[1];
        (cache.entries, cache.bytes)
    };
    chain.run(9_992).await.unwrap();
    assert_eq!(size(), (1, 10_000));
    for small in 0..5000 {
        chain.run(small % 2).await.unwrap();
        assert!(size().1 <= 10_000 && size().0 <= 2000);
    }
}

type Looks = Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>;

/// Looks into the cache when it is hashed, compared, cloned or dropped: under the cache's lock it would wait for itself.
struct Nosy(Looks);

impl Nosy {
    fn look(&self) {
        if let Some(look) = self.0.get() {
            look();
        }
    }
}

impl Clone for Nosy {
    fn clone(&self) -> Self {
        self.look();
        Self(Arc::clone(&self.0))
    }
}

impl PartialEq for Nosy {
    fn eq(&self, _: &Self) -> bool {
        self.look();
        true
    }
}

impl Eq for Nosy {}

impl Hash for Nosy {
    fn hash<H: Hasher>(&self, _: &mut H) {
        self.look();
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.look();
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_users_runs_while_the_cache_is_locked() {
    let looks = Looks::default();
    let (of_answer, of_key) = (Arc::clone(&looks), Arc::clone(&looks));
    let chain = FallbackChain::builder("nosy")
        .primary(Source::function(move |_: u32| {
            let answer = Nosy(Arc::clone(&of_answer));
            ready(Ok::<_, Failure>(answer))
        }))
        .local_cache(
            LocalCache::keyed(move |key: &u32| Some((*key, Nosy(Arc::clone(&of_key)))))
                .entries(2)
                .fresh_for(Duration::from_secs(1)),
        )
        .build();
    let watched = chain.clone();
    let look = move || assert!(watched.snapshot().levels[1].entries <= 2);
    assert!(looks.set(Box::new(look)).is_ok());
    for key in [0, 1, 2, 2, 3, 4, 4] {
        drop(chain.run(key).await.unwrap());
        // Every second one is fresh no more, and is asked for again.
        tokio::time::advance(Duration::from_millis(600)).await;
    }
}

// proves: FC-9
#[tokio::test(start_paused = true)]
async fn an_answer_is_as_old_as_its_question_whenever_it_is_polled() {
    let made = Arc::new(AtomicU32::new(0));
    let primary = service_fn(move |_: u32| ready(Ok::<_, Failure>(made.fetch_add(1, SeqCst))));
    let cache = LocalCache::keyed(|key: &u32| Some(*key)).fresh_for(60 * SECOND);
    let chain = FallbackChain::builder("older").local_cache(cache).build();
    let mut stack = chain.layer().layer(primary);
    let older = stack.ready().await.unwrap().call(1);
    sleep(SECOND).await;
    assert_eq!(stack.ready().await.unwrap().call(1).await.unwrap(), 1);
    sleep(SECOND).await;
    assert_eq!(older.await.unwrap(), 0);
    assert_eq!(
        stack.ready().await.unwrap().call(1).await.unwrap(),
        1,
        "the newer one stays"
    );
}

// proves: FC-7
#[tokio::test(start_paused = true)]
async fn what_is_too_old_already_takes_nobodys_place() {
    let fails = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&fails);
    let chain = FallbackChain::builder("dead")
        .primary(Source::function(move |key: u32| {
            let fails = told.load(SeqCst) == 1;
            async move {
                if fails {
                    return Err(down());
                }
                if key > 1 {
                    sleep(2 * SECOND).await;
                }
                Ok(key)
            }
        }))
        .local_cache(
            LocalCache::keyed(|key: &u32| Some(*key))
                .entries(1)
                .stale_for(SECOND * 2),
        )
        .build();
    let slow = chain.run(2);
    let mut slow = task::spawn(slow);
    assert_pending!(slow.poll());
    sleep(SECOND + SECOND / 2).await;
    chain.run(1).await.unwrap();
    sleep(SECOND / 2).await;
    assert_eq!(slow.await.unwrap().answer, 2);
    fails.store(1, SeqCst);
    assert!(chain.run(2).await.is_err(), "it is too old");
    assert!(chain.run(1).await.is_ok(), "it is half a second old");
}

// proves: FC-7
#[tokio::test]
async fn bytes_bound_what_is_weighed() {
    let shared = InMemory::new(10_000, 100_000, 60 * SECOND);
    let by = |key: &u32| Some(*key);
    let chain = FallbackChain::builder("bytes")
        .primary(Source::function(async |size: u32| {
            Ok::<_, Failure>("x".repeat(size as usize))
        }))
        .distributed_cache(DistributedCacheLevel::keyed(shared.clone(), by).weigh(String::len))
        .local_cache(LocalCache::keyed(by).bytes(100_000).weigh(String::len))
        .build();
    chain.run(1_000_000).await.unwrap();
    assert_eq!(
        (chain.snapshot().levels[2].entries, shared.size().0),
        (0, 0)
    );
    chain.run(90_000).await.unwrap();
    assert_eq!(
        (chain.snapshot().levels[2].entries, shared.size().0),
        (1, 1)
    );
}
