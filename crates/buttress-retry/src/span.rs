//! A span for each attempt, for those who look.

use buttress_core::{Attempt, Name};
use tracing::Span;
use tracing::level_filters::LevelFilter;

const TARGET: &str = "buttress::retry";

/// Whether anybody may want to see a span: a load and a comparison, so that each call can ask.
#[inline(always)]
pub(crate) fn may_be_seen() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// The span of a first attempt.
pub(crate) fn of_first(name: Name) -> Option<Span> {
    seen(tracing::debug_span!(target: TARGET, "attempt", %name))
}

/// The span of a retry, named as OpenTelemetry's conventions for HTTP name it, and why it is there.
pub(crate) fn of_retry(name: Name, attempt: &Attempt) -> Option<Span> {
    if !may_be_seen() {
        return None;
    }
    seen(tracing::debug_span!(
        target: TARGET,
        "attempt",
        %name,
        http.request.resend_count = attempt.index,
        why = ?attempt.previous.unwrap_or_default(),
    ))
}

pub(crate) fn within<R>(span: Option<&Span>, work: impl FnOnce() -> R) -> R {
    match span {
        None => work(),
        Some(span) => span.in_scope(work),
    }
}

fn seen(span: Span) -> Option<Span> {
    (!span.is_disabled()).then_some(span)
}
