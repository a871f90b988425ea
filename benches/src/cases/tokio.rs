//! tokio's semaphore and its timeout, in the least code that puts them around a call.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::util::service_fn;
use tower_layer::layer_fn;
use tower_service::Service;

use super::Case;
use super::bare::{OVERLAP, WAITS};
use crate::inner::{Down, Held, Prompt, Yielding};
use crate::subject::{Served, Subject, Target, calls, pending_once, queued};

const QUEUED: &str = "bulkhead: queued call";
const TIMEOUT: &str = "tokio timeout";

pub(super) const CASES: &[Case] = &[
    Case::special("tokio semaphore", QUEUED, patient).over(OVERLAP),
    Case::special("tokio semaphore, timeout", QUEUED, impatient).over(OVERLAP),
    Case::special(TIMEOUT, "timeout fixed: ready", || {
        calls::<Served>(limited(Prompt))
    }),
    Case::special(TIMEOUT, "timeout fixed: pending", || {
        pending_once(layer_fn(limited::<Yielding>))
    })
    .over(WAITS),
];

/// Waits for as long as it takes.
fn patient() -> Box<dyn Subject> {
    let semaphore = Arc::new(Semaphore::new(1));
    queued(layer_fn(move |inner: Held| {
        let semaphore = Arc::clone(&semaphore);
        service_fn(move |request| {
            let (semaphore, mut inner) = (Arc::clone(&semaphore), inner);
            async move {
                let _slot = semaphore.acquire_owned().await.map_err(|_| Down)?;
                inner.call(request).await
            }
        })
    }))
}

/// Waits as long as our own do by default.
fn impatient() -> Box<dyn Subject> {
    let semaphore = Arc::new(Semaphore::new(1));
    queued(layer_fn(move |inner: Held| {
        let semaphore = Arc::clone(&semaphore);
        service_fn(move |request| {
            let slot = timeout(
                Duration::from_secs(30),
                Arc::clone(&semaphore).acquire_owned(),
            );
            let mut inner = inner;
            async move {
                let _slot = slot.await.map_err(|_| Down)?.map_err(|_| Down)?;
                inner.call(request).await
            }
        })
    }))
}

/// Limits the time of the call alone.
fn limited<S>(inner: S) -> impl Target
where
    S: Service<u64, Response = u64, Error = Down, Future: Send> + Copy + Send + 'static,
{
    service_fn(move |request| {
        let mut inner = inner;
        async move {
            let call = inner.call(request);
            timeout(Duration::from_secs(30), call)
                .await
                .map_err(|_| Down)?
        }
    })
}
