//! What is known of a call when it starts.

use buttress_core::{Deadline, Repeatable, RequestContext};
use tokio::time::Instant;
use tracing::Span;

/// What is known of a request before it is sent.
#[derive(Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) repeatable: bool,
    pub(crate) retried_above: bool,
}

/// What only some calls have at their start.
#[derive(Default)]
pub(crate) struct Start {
    /// When the call started, if time is kept of it.
    pub(crate) at: Option<Instant>,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) span: Option<Span>,
}

impl Facts {
    #[inline(always)]
    pub(crate) fn of<P, Req>(protocol: &P, request: &Req) -> Self
    where
        P: Repeatable<Req> + RequestContext<Req>,
    {
        Self {
            repeatable: protocol.repeatable(request),
            retried_above: protocol.is_retry(request),
        }
    }
}
