//! Shared by all of these tests.

use std::time::Duration;

use buttress_core::{Reason, Rejected};

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The wait of a refusal that must be one of the rate.
#[track_caller]
pub(crate) fn throttled(rejected: Rejected) -> Option<Duration> {
    assert_eq!(rejected.reason(), Reason::Throttled);
    rejected.retry_after()
}

pub(crate) async fn advance(by: Duration) {
    tokio::time::advance(by).await;
}
