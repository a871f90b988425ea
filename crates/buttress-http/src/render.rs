use std::time::Duration;

use buttress_core::{Reason, Rejected};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Response, StatusCode};

use crate::by_grpc_status::PUSHBACK;
use crate::code::{Code, GRPC_STATUS};
use crate::retry_info::{self, DETAILS};

/// Makes the answer to a refused call.
///
/// Implemented by [`Problem`], by [`GrpcStatus`], and by any closure `Fn(&Rejected) -> Response<T>` whose body becomes bytes.
pub trait Render {
    /// The answer that stands for this refusal.
    fn render(&self, rejected: &Rejected) -> Response<Bytes>;
}

impl<F, T> Render for F
where
    F: Fn(&Rejected) -> Response<T>,
    T: Into<Bytes>,
{
    fn render(&self, rejected: &Rejected) -> Response<Bytes> {
        self(rejected).map(Into::into)
    }
}

/// Answers as a problem in JSON (RFC 9457), with `Retry-After` when the refusal has a time.
///
/// The client learns the status, one word, and when to come back; never which component refused it, nor its limits.
///
/// ```
/// use std::time::Duration;
/// use buttress_core::{Name, Reason, Rejected};
/// use buttress_http::{Problem, Render};
///
/// let rejected = Rejected::new(Reason::Throttled, Name::new("per-client"))
///     .with_retry_after(Duration::from_millis(1200));
/// let answer = Problem.render(&rejected);
/// assert_eq!(answer.status(), 429);
/// assert_eq!(answer.headers()["content-type"], "application/problem+json");
/// assert_eq!(answer.headers()["retry-after"], "2");
/// assert_eq!(
///     answer.body(),
///     r#"{"type":"about:blank","title":"Too Many Requests","status":429,"reason":"throttled","retry_after_ms":1200}"#
/// );
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a renderer without settings is written as its name"
)]
pub struct Problem;

impl Render for Problem {
    fn render(&self, rejected: &Rejected) -> Response<Bytes> {
        let reason = rejected.reason();
        problem(status(reason), reason.as_str(), rejected.retry_after(), "")
    }
}

/// The HTTP status that a refusal is answered with.
///
/// | reason | status |
/// |---|---|
/// | `Overloaded`, `Unavailable` | 503 |
/// | `Throttled` | 429 |
/// | `DeadlineExceeded`, `TimedOut` | 504 |
/// | `Conflict` | 409 |
#[must_use]
pub const fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Reason::DeadlineExceeded | Reason::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Reason::Conflict => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A wait as `Retry-After` says it: whole seconds, rounded up, at least one.
///
/// For a [`render`](crate::Respond::render) of one's own.
#[must_use]
pub const fn whole_seconds(wait: Duration) -> u64 {
    let more = if wait.subsec_nanos() > 0 { 1 } else { 0 };
    let seconds = wait.as_secs().saturating_add(more);
    if seconds == 0 { 1 } else { seconds }
}

/// The wait in milliseconds, rounded up.
pub(crate) const fn whole_millis(wait: Duration) -> u128 {
    wait.as_nanos().div_ceil(1_000_000)
}

/// A problem in JSON, with `more` members. Every string in it is one of ours and needs no escaping.
pub(crate) fn problem(
    status: StatusCode,
    reason: &str,
    retry_after: Option<Duration>,
    more: &str,
) -> Response<Bytes> {
    let title = status.canonical_reason().unwrap_or_default();
    let code = status.as_u16();
    let wait = retry_after.map_or_else(String::new, |wait| {
        format!(r#","retry_after_ms":{}"#, whole_millis(wait))
    });
    let document = format!(
        r#"{{"type":"about:blank","title":"{title}","status":{code},"reason":"{reason}"{wait}{more}}}"#
    );
    let mut response = Response::new(document.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/problem+json");
    headers.insert(CONTENT_TYPE, json);
    if let Some(wait) = retry_after {
        headers.insert(RETRY_AFTER, whole_seconds(wait).into());
    }
    response
}

/// Answers as a gRPC status, in a head without a body, with a push-back when the refusal has a time.
///
/// What [`respond_grpc`](crate::respond_grpc) answers with. The message is one word, the reason. The push-back is
/// `grpc-retry-pushback-ms`; of a spent quota `google.rpc.RetryInfo` says it too, in `grpc-status-details-bin`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a renderer without settings is written as its name"
)]
pub struct GrpcStatus;

pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The longest push-back that every gRPC client can read: some take it for 32 bits, and what does not fit for "never".
const LONGEST_PUSHBACK: u32 = i32::MAX.unsigned_abs();

impl Render for GrpcStatus {
    fn render(&self, rejected: &Rejected) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        *headers = trailers(rejected);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

/// A refusal as the end of a gRPC call: in its trailers, or in a head that stands for them.
pub(crate) fn trailers(rejected: &Rejected) -> HeaderMap {
    let reason = rejected.reason();
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, Code::from(reason).into());
    // Lower-case letters and hyphens: percent-encoded as they are.
    trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(reason.as_str()));
    if let Some(wait) = rejected.retry_after() {
        trailers.insert(PUSHBACK, pushback(wait).into());
    }
    if let Some(details) = details(rejected).and_then(|details| retry_info::header(&details)) {
        trailers.insert(DETAILS, details);
    }
    trailers
}

/// What gRPC libraries read of a spent quota: a `google.rpc.Status` with `RetryInfo`.
pub(crate) fn details(rejected: &Rejected) -> Option<Vec<u8>> {
    let reason = rejected.reason();
    let wait = rejected.retry_after()?;
    let is_quota = reason == Reason::Throttled;
    is_quota.then(|| retry_info::status(reason.into(), reason.as_str(), wait))
}

/// The wait as `grpc-retry-pushback-ms` says it.
pub(crate) fn pushback(wait: Duration) -> u32 {
    u32::try_from(whole_millis(wait))
        .unwrap_or(u32::MAX)
        .min(LONGEST_PUSHBACK)
}

#[cfg(test)]
mod tests;
