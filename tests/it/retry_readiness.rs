//! Retries before a service that must be asked before it is called, and that has fewer places than there are calls.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{Error, WidenLayer};
use buttress_retry::{Backoff, Retry, RetryBudget};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt};

const PLACES: u32 = 4;
const CALLS: u32 = 200;

/// What all instances share.
struct Shared {
    random: Random,
    inside: AtomicU32,
    most: AtomicU32,
    attempts: AtomicU32,
}

/// Panics when an instance is called that did not say it was ready, or when more are inside than there are places.
struct Strict {
    shared: Arc<Shared>,
    is_ready: bool,
}

impl Shared {
    fn one_in(&self, n: u64) -> bool {
        self.random.next_u64().is_multiple_of(n)
    }

    /// Every other call fails, and some at once.
    async fn serve(self: Arc<Self>) -> Result<(), fmt::Error> {
        let _inside = Inside::of(&self);
        if !self.one_in(4) {
            sleep(Duration::from_millis(self.random.next_u64() % 20)).await;
        }
        if self.one_in(2) {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// A call that is being served, until it is dropped.
struct Inside<'a>(&'a Shared);

impl<'a> Inside<'a> {
    fn of(shared: &'a Shared) -> Self {
        let inside = shared.inside.fetch_add(1, SeqCst) + 1;
        assert!(inside <= PLACES, "{inside} are inside");
        shared.most.fetch_max(inside, SeqCst);
        shared.attempts.fetch_add(1, SeqCst);
        Self(shared)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

/// A clone has said nothing.
impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            is_ready: false,
        }
    }
}

impl Service<()> for Strict {
    type Response = ();
    type Error = fmt::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), fmt::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), fmt::Error>> {
        if !self.is_ready && self.shared.one_in(3) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let was_ready = std::mem::take(&mut self.is_ready);
        assert!(was_ready, "called without being ready");
        Box::pin(Arc::clone(&self.shared).serve())
    }
}

/// Whether a call succeeds; nothing when its caller leaves before its end.
async fn call(
    service: impl Service<(), Error = Error<fmt::Error>>,
    patience: Duration,
) -> Option<bool> {
    let result = timeout(patience, service.oneshot(())).await.ok()?;
    Some(result.is_ok())
}

// proves: A-4
#[tokio::test(start_paused = true)]
async fn behind_towers_concurrency_limit_no_instance_is_called_that_is_not_ready() {
    let seed = seed();
    for round in 0..deep(20, 1_000) {
        let wait = Duration::from_millis(10 * (round % 2));
        run(Random::seeded(seed.wrapping_add(round)), wait).await;
    }
}

async fn run(random: Random, wait: Duration) {
    let shared = Arc::new(Shared {
        random,
        inside: AtomicU32::new(0),
        most: AtomicU32::new(0),
        attempts: AtomicU32::new(0),
    });
    let strict = Strict {
        shared: Arc::clone(&shared),
        is_ready: false,
    };
    // As many retries as there are first attempts, so that few calls are not retried.
    let retry = Retry::builder("strict")
        .budget(&RetryBudget::sliding(1.0, Duration::from_secs(60)))
        .backoff(Backoff::constant(wait))
        .build();
    let limit = GlobalConcurrencyLimitLayer::new(PLACES as usize);
    let stack = retry.layer().layer(limit.layer(WidenLayer.layer(strict)));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        // Half of the callers leave at some time, so that places and tokens come back in every state.
        let patience = Duration::from_millis(shared.random.next_u64() % 4_000);
        calls.spawn(call(stack.clone(), patience));
    }
    let results = calls.join_all().await;
    let succeeded = results.iter().filter(|result| **result == Some(true));
    assert!(succeeded.count() > 50);
    let budget = retry.snapshot().budget;
    assert!(budget.total_retries > 20, "{budget:?}");
    assert_eq!(shared.most.load(SeqCst), PLACES);
    let free = timeout(Duration::from_secs(1), all_places(stack));
    free.await.expect("a place is lost");
}

/// As many instances as there are places can be ready at a time, and all of them can be called.
async fn all_places(stack: impl Service<(), Error = Error<fmt::Error>> + Clone) {
    let mut ready = Vec::new();
    for _ in 0..PLACES {
        let mut instance = stack.clone();
        poll_fn(|cx| instance.poll_ready(cx)).await.unwrap();
        ready.push(instance);
    }
    for mut instance in ready {
        drop(instance.call(()));
    }
}
