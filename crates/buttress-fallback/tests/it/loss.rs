//! A cache is lost, and everything falls back to a slow database: with a limit it recovers, without one it never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use buttress_fallback::{FallbackChain, Source};
use buttress_sync::{Mutex, Random};
use tokio::time::{Instant, sleep, sleep_until};

use crate::support::{Failure, down};

const CALLS: u64 = 1000;
const KEYS: u64 = 2000;
const AGE: Duration = Duration::from_secs(60);
/// What the database does in a second.
const CAPACITY: u64 = 250;
/// How long a call waits for it.
const PATIENCE: Duration = Duration::from_millis(500);
/// When the cache is lost.
const LOSS: u64 = 60;

/// Answers one after the other, also those that nobody waits for any more.
#[derive(Clone)]
struct Database(Arc<Mutex<Instant>>);

impl Database {
    async fn read(&self) {
        let done = {
            let mut free = self.0.lock();
            let each = Duration::from_secs(1) / u32::try_from(CAPACITY).unwrap();
            *free = (*free).max(Instant::now()) + each;
            *free
        };
        sleep_until(done).await;
    }
}

/// When each key was read.
type Cache = Arc<Mutex<Vec<Option<Instant>>>>;

/// The shares of calls that were answered, second by second.
struct Course(Vec<f64>);

impl Course {
    /// How long after the loss 99 % of all later seconds are answered.
    fn recovered(&self) -> Option<usize> {
        let after = &self.0[usize::try_from(LOSS).unwrap()..];
        let bad = after.iter().rposition(|share| *share < 0.99);
        let first = bad.map_or(0, |bad| bad + 1);
        (first < after.len()).then_some(first)
    }

    /// The share of the whole last half minute.
    fn at_last(&self) -> f64 {
        let last = &self.0[self.0.len() - 30..];
        last.iter().sum::<f64>() / 30.0
    }
}

#[expect(clippy::too_many_lines, reason = "one simulation")]
async fn lost(limit: Option<u32>) -> Course {
    let start = Instant::now();
    let database = Database(Arc::new(Mutex::new(start)));
    let random = Arc::new(Random::seeded(7));
    // What was read a while ago, evenly.
    let aged = |key: u64| {
        start
            .checked_sub(AGE.mul_f64(key as f64 / KEYS as f64))
            .unwrap_or(start)
    };
    let cache: Cache = Arc::new(Mutex::new((0..KEYS).map(|key| Some(aged(key))).collect()));
    let (reads, fills) = (Arc::clone(&cache), Arc::clone(&cache));
    let look = Source::function(move |key: usize| {
        let found = reads.lock()[key].filter(|read| read.elapsed() < AGE);
        std::future::ready(found.map(drop).ok_or_else(down))
    });
    let read = Source::function(move |key: usize| {
        let (database, fills) = (database.clone(), Arc::clone(&fills));
        async move {
            database.read().await;
            fills.lock()[key] = Some(Instant::now());
            Ok::<(), Failure>(())
        }
    });
    let read = read.time(PATIENCE);
    let read = match limit {
        Some(limit) => read.limit(limit),
        None => read.unlimited(),
    };
    let chain = FallbackChain::builder("loss")
        .primary(look)
        .backup(read)
        .build();
    let seconds = usize::try_from(LOSS + 90).unwrap();
    let answered: Arc<Vec<AtomicU64>> = Arc::new((0..seconds).map(|_| AtomicU64::new(0)).collect());
    let running = Arc::new(AtomicU32::new(0));
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for call in 0..CALLS * seconds as u64 {
                if call == CALLS * LOSS {
                    cache.lock().fill(None);
                }
                let (chain, answered) = (chain.clone(), Arc::clone(&answered));
                let key = usize::try_from(random.next_u64() % KEYS).unwrap();
                let second = usize::try_from(call / CALLS).unwrap();
                running.fetch_add(1, SeqCst);
                tokio::task::spawn_local(async move {
                    if chain.run(key).await.is_ok() {
                        answered[second].fetch_add(1, SeqCst);
                    }
                });
                sleep(Duration::from_secs(1) / u32::try_from(CALLS).unwrap()).await;
            }
            sleep(PATIENCE * 2).await;
        })
        .await;
    let share = |count: &AtomicU64| count.load(SeqCst) as f64 / CALLS as f64;
    Course(answered.iter().map(share).collect())
}

// proves: FC-5
#[tokio::test(start_paused = true)]
async fn with_a_limit_of_what_it_can_do_in_time_it_recovers() {
    for limit in [10, 50, 100, 125] {
        let course = lost(Some(limit)).await;
        let recovered = course.recovered();
        println!(
            "limit {limit}: {:.1} % at last, recovered after {recovered:?} s",
            100.0 * course.at_last()
        );
        assert!(
            recovered.is_some_and(|seconds| seconds <= 8),
            "limit {limit}: {recovered:?} s"
        );
    }
}

// The control: the same without a limit.
// proves: FC-5
#[tokio::test(start_paused = true)]
async fn without_a_limit_it_never_does() {
    let course = lost(None).await;
    println!("no limit: {:.1} % at last", 100.0 * course.at_last());
    assert!(
        course.0[usize::try_from(LOSS).unwrap() - 1] > 0.99,
        "it was well before"
    );
    assert_eq!(course.recovered(), None);
    assert!(course.at_last() < 0.5, "{}", course.at_last());
}
