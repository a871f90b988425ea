//! Readiness is part of the call.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{Outcome, Reason};
use buttress_fallback::{FallbackChain, LocalCache, Source};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_ready, task};
use tower::{Layer, Service, ServiceExt};

use crate::support::{Failure, down};

const SECOND: Duration = Duration::from_secs(1);

/// How a service gets ready.
#[derive(Clone, Copy, PartialEq)]
enum Gets {
    Ready,
    Never,
    Failed,
    /// At the second time that it is asked.
    ReadyAtLast,
}

/// Counts the calls, and panics at one without its own readiness.
struct Picky {
    gets: Gets,
    asked: u32,
    ready: bool,
    calls: Arc<AtomicU32>,
}

impl Picky {
    fn new(gets: Gets) -> Self {
        Self {
            gets,
            asked: 0,
            ready: false,
            calls: Arc::default(),
        }
    }
}

impl Clone for Picky {
    fn clone(&self) -> Self {
        Self {
            calls: Arc::clone(&self.calls),
            ..Self::new(self.gets)
        }
    }
}

impl Service<u32> for Picky {
    type Response = &'static str;
    type Error = Failure;
    type Future = std::future::Ready<Result<&'static str, Failure>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        assert!(
            self.asked < 2 || self.gets != Gets::Failed,
            "a failed instance was asked again"
        );
        self.asked += 1;
        match self.gets {
            Gets::Failed => {
                self.asked = 2;
                return Poll::Ready(Err(down()));
            }
            Gets::Never => return Poll::Pending,
            Gets::ReadyAtLast if self.asked == 1 => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Gets::Ready | Gets::ReadyAtLast => {}
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being ready"
        );
        self.calls.fetch_add(1, SeqCst);
        ready(Ok("picky"))
    }
}

fn chain() -> FallbackChain<u32, &'static str, Failure> {
    FallbackChain::builder("ready")
        .default_value("default")
        .build()
}

// proves: A-4
#[tokio::test(start_paused = true)]
async fn a_primary_that_does_not_get_ready_is_fallen_back_from() {
    for (gets, answer, seconds) in [
        (Gets::Ready, "picky", 0),
        (Gets::ReadyAtLast, "picky", 0),
        (Gets::Failed, "default", 0),
        (Gets::Never, "default", 30),
    ] {
        let start = Instant::now();
        let mut stack = chain().layer().layer(Picky::new(gets));
        for _ in 0..3 {
            assert_eq!(stack.ready().await.unwrap().call(1).await.unwrap(), answer);
        }
        assert_eq!(start.elapsed(), 3 * seconds * SECOND);
    }
}

// proves: A-4
#[tokio::test(start_paused = true)]
async fn a_level_below_gets_ready_in_its_own_time() {
    for (gets, answer) in [
        (Gets::Ready, "picky"),
        (Gets::ReadyAtLast, "picky"),
        (Gets::Failed, "default"),
        (Gets::Never, "default"),
    ] {
        let chain = FallbackChain::builder("ready")
            .replica(Source::service(Picky::new(gets)).time(SECOND))
            .default_value("default")
            .build();
        let start = Instant::now();
        let served = chain.run(1).await.unwrap();
        assert_eq!(served.answer, answer);
        if gets == Gets::Never {
            assert_eq!(start.elapsed(), SECOND);
            let why = served.by.errors.as_slice()[0].outcome();
            assert_eq!(why, Outcome::Refused(Reason::TimedOut));
        }
    }
}

// proves: A-4
#[tokio::test]
async fn the_instance_that_was_ready_is_called_and_a_clone_is_not() {
    let mut stack = chain().layer().layer(Picky::new(Gets::Ready));
    assert!(assert_ready!(task::spawn(stack.ready()).poll()).is_ok());
    // A clone must get ready for itself, and so must one that was not asked before.
    let mut clone = stack.clone();
    assert_eq!(clone.call(1).await.unwrap(), "picky");
    assert_eq!(stack.call(1).await.unwrap(), "picky");
    assert_eq!(stack.call(1).await.unwrap(), "picky");
}

/// Fails to get ready at the second look.
#[derive(Clone)]
struct FailsOnce(Arc<AtomicU32>);
impl Service<u32> for FailsOnce {
    type Response = &'static str;
    type Error = Failure;
    type Future = std::future::Ready<Result<&'static str, Failure>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.0.fetch_add(1, SeqCst) == 1 {
            return Poll::Ready(Err(down()));
        }
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: u32) -> Self::Future {
        ready(Ok("primary"))
    }
}

// proves: A-4
#[tokio::test(start_paused = true)]
async fn what_failed_to_get_ready_an_hour_ago_is_not_what_is_asked_now() {
    let cache = LocalCache::keyed(|key: &u32| Some(*key))
        .fresh_for(1800 * SECOND)
        .stale_for(1800 * SECOND);
    let chain = FallbackChain::builder("ready")
        .local_cache(cache)
        .default_value("default")
        .build();
    let mut stack = chain.layer().layer(FailsOnce(Arc::default()));
    assert_eq!(
        stack.ready().await.unwrap().call(1).await.unwrap(),
        "primary"
    );
    // Not ready now; the cache answers.
    assert_eq!(
        stack.ready().await.unwrap().call(1).await.unwrap(),
        "primary"
    );
    sleep(3600 * SECOND).await;
    assert_eq!(
        stack.ready().await.unwrap().call(1).await.unwrap(),
        "primary"
    );
}
