//! Requests that are no `Clone`, that may not be sent twice, or that an error gives back.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use buttress_core::{Again, Classify, Error, Verdict, WidenLayer};
use buttress_retry::{Backoff, Jitter, Retry, Stop};
use buttress_sync::Mutex;
use tower::{Layer, ServiceExt, service_fn};

use super::SECOND;

/// No `Clone`; can be cloned while it is short.
#[derive(Debug, PartialEq)]
struct Upload(Vec<u8>);

impl Upload {
    fn try_clone(&self) -> Option<Self> {
        (self.0.len() < 4).then(|| Self(self.0.clone()))
    }
}

fn quick(name: &'static str) -> Retry {
    let backoff = Backoff::constant(SECOND).jitter(Jitter::None);
    Retry::builder(name).backoff(backoff).build()
}

// proves: RB-5
#[tokio::test(start_paused = true)]
async fn a_function_clones_what_is_no_clone() {
    for (length, attempts, not_replayable) in [(3, 4, 0), (4, 1, 1)] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let service = service_fn(move |upload: Upload| {
            kept.lock().push(upload);
            ready(Err::<(), _>(std::io::Error::other("no")))
        });
        let retry = quick("uploads");
        let stack = retry
            .layer()
            .clone_by(Upload::try_clone)
            .layer(WidenLayer.layer(service));
        assert!(stack.oneshot(Upload(vec![7; length])).await.is_err());
        let seen = seen.lock();
        assert_eq!(seen.len(), attempts);
        assert!(seen.iter().all(|upload| upload.0 == vec![7; length]));
        let snapshot = retry.snapshot();
        assert_eq!(snapshot.stopped(Stop::NotReplayable), not_replayable);
        assert_eq!(snapshot.budget.total_retries, attempts as u64 - 1);
    }
}

// proves: RB-4
#[tokio::test(start_paused = true)]
async fn a_function_says_what_may_be_sent_twice() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: &'static str| {
        counted.fetch_add(1, SeqCst);
        ready(Err::<(), _>(std::io::Error::other("no")))
    });
    let retry = quick("orders");
    let stack = retry
        .layer()
        .repeatable(|statement: &&str| statement.starts_with("select"))
        .layer(WidenLayer.layer(service));
    assert!(stack.clone().oneshot("insert").await.is_err());
    assert_eq!(calls.swap(0, SeqCst), 1);
    assert_eq!(retry.snapshot().stopped(Stop::NotRepeatable), 1);
    assert!(stack.oneshot("select").await.is_err());
    assert_eq!(calls.load(SeqCst), 4);
}

/// Failed before or after the request was sent.
#[derive(Debug)]
struct Broken(Option<Upload>);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

fn unsent(error: &mut Error<Broken>) -> Option<Upload> {
    match error {
        Error::Inner(error) => error.0.take(),
        Error::Rejected(_) => None,
    }
}

/// What it does for a request that may not be sent twice, and is too long to be cloned.
// proves: RB-4, RB-5
#[tokio::test(start_paused = true)]
async fn an_unsent_request_is_sent_again_without_a_copy() {
    for (unsent_attempts, attempts) in [(0, 1), (1, 2), (3, 4), (9, 4)] {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let service = service_fn(move |upload: Upload| {
            let sent = counted.fetch_add(1, SeqCst) >= unsent_attempts;
            ready(Err::<(), _>(Broken((!sent).then_some(upload))))
        });
        let retry = quick("uploads");
        let stack = retry
            .layer()
            .clone_by(Upload::try_clone)
            .repeatable(|_: &Upload| false)
            .recover(unsent)
            .layer(WidenLayer.layer(service));
        let error = stack.oneshot(Upload(vec![7; 100])).await.unwrap_err();
        assert_eq!(calls.load(SeqCst), attempts);
        // An error that is the last answer stays whole.
        let held = error.into_inner().unwrap().0;
        assert_eq!(held.is_some(), unsent_attempts > attempts);
        assert!(held.is_none_or(|upload| upload == Upload(vec![7; 100])));
        let expected = u64::from(unsent_attempts < 4 && attempts < 4);
        assert_eq!(retry.snapshot().stopped(Stop::NotRepeatable), expected);
        let budget = retry.snapshot().budget;
        assert_eq!(budget.total_retries, u64::from(attempts) - 1);
    }
}

/// A classifier that says that nothing was sent is believed, whatever may be sent twice.
#[derive(Clone)]
struct NeverSent;

impl<T, E> Classify<T, E> for NeverSent {
    fn classify(&self, result: Result<&T, &E>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure,
        }
    }

    fn again(&self, result: Result<&T, &E>) -> Again {
        match result {
            Ok(_) => Again::No,
            Err(_) => Again::NotSent,
        }
    }
}

// proves: RB-4
#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_sent_again_though_it_is_not_repeatable() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: u32| {
        counted.fetch_add(1, SeqCst);
        ready(Err::<(), _>(std::io::Error::other("no connection")))
    });
    let layer = quick("orders").layer().repeatable(|_: &u32| false);
    // Whatever is chosen last leaves the rest as it was.
    let stack = layer.classify(NeverSent).layer(service);
    assert!(stack.oneshot(1).await.is_err());
    assert_eq!(calls.load(SeqCst), 4);
}
