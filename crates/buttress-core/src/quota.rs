use std::sync::Arc;
use std::time::Duration;

use crate::Name;

/// How much of a quota is left, for whoever tells the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by the limiter, read by the edge: they must agree on every field"
)]
pub struct Quota {
    /// What the client may do.
    pub policy: QuotaPolicy,
    /// How much of it is left at this moment.
    pub remaining: u64,
    /// How long until the whole of it is there again, if nothing is taken meanwhile.
    pub reset: Duration,
}

/// What a client may do: so much within such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by the limiter, read by the edge: they must agree on every field"
)]
pub struct QuotaPolicy {
    /// How much may be done.
    pub limit: u64,
    /// Within how long a time.
    pub window: Duration,
}

/// Knows the policy behind the refusals of one component: a [`Rejected`](crate::Rejected) has no room for it.
pub trait QuotaSource: Send + Sync {
    /// The component whose refusals it speaks of.
    fn name(&self) -> Name;

    /// Its policy at this moment, which may change at run time.
    fn policy(&self) -> QuotaPolicy;
}

/// The sources that the layers of a stack have, for the edge that answers their refusals.
pub type QuotaSources = Vec<Arc<dyn QuotaSource>>;
