//! tokio's semaphore, in the least code that lets a call wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::util::service_fn;
use tower_layer::layer_fn;
use tower_service::Service;

use super::Case;
use super::bare::OVERLAP;
use crate::inner::{Down, Held};
use crate::subject::{Subject, queued};

const QUEUED: &str = "bulkhead: queued call";

pub(super) const CASES: &[Case] = &[
    Case::special("tokio semaphore", QUEUED, patient).over(OVERLAP),
    Case::special("tokio semaphore, timeout", QUEUED, impatient).over(OVERLAP),
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
