//! What the modules share: patience with real servers, and a way to talk to them.

mod bodies;
mod guards;
pub(crate) mod tree;
mod wire;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

pub(crate) use bodies::{LARGE, bodies};
pub(crate) use guards::{Counts, Guards};
pub(crate) use wire::{Connection, ask, serve, serve_made, serve_with_peers};

/// How long a test waits for what must come. Never reached, unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a future that must end.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain: {what}"),
    }
}

/// Waits until what is looked at is as it should be, and says what it was if that never comes.
pub(crate) async fn eventually<T: PartialEq + Debug>(look: impl Fn() -> T, expected: T) {
    let started = std::time::Instant::now();
    while look() != expected {
        assert!(
            started.elapsed() < PATIENCE,
            "waited in vain for {expected:?}, it is {:?}",
            look()
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
