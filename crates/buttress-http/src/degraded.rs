//! What an answer of a fallback chain says over HTTP and gRPC.

use std::fmt::Write;

use buttress_core::{Note, Reason, Rejected, ServedBy, Trail};
use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::Code;
use crate::by_grpc_status::PUSHBACK;
use crate::code::GRPC_STATUS;
use crate::render::{self, GRPC_MESSAGE, pushback, status};

/// The header, and gRPC metadata, of an answer that is less than what was asked for: `true`.
pub const DEGRADED_MODE_HEADER: HeaderName = HeaderName::from_static("x-degraded-mode");

/// The level that such an answer comes from: `replica`, `distributed-cache`, `local-cache`, `backup` or `default`.
pub const DEGRADED_LEVEL_HEADER: HeaderName = HeaderName::from_static("x-degraded-level");

/// Writes onto an answer where it comes from: into its extensions, and into its headers what the client is to know.
pub(crate) fn annotate<B>(answer: &mut Response<B>, note: Note, is_grpc: bool) {
    let Note::ServedBy(by) = note else { return };
    answer.extensions_mut().insert(by);
    let status = answer.status();
    let headers = answer.headers_mut();
    // A 304 brings the marks onto the whole answer that the client has kept (RFC 9111, 4.3.4).
    if by.degraded && status != StatusCode::NOT_MODIFIED {
        let level = HeaderValue::from_static(by.level.as_str());
        // They fail only for a map that is full; in this process the extension says it then.
        let _ = headers.try_insert(DEGRADED_MODE_HEADER, HeaderValue::from_static("true"));
        let _ = headers.try_insert(DEGRADED_LEVEL_HEADER, level);
        if !is_grpc {
            let _ = headers.try_insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // Caches that read these do not look at the other (RFC 9213).
            headers.remove("cdn-cache-control");
            headers.remove("surrogate-control");
        }
    }
    if let Some(age) = by.age {
        let _ = headers.try_insert(AGE, age.as_secs().into());
    }
}

/// Whether an answer says of itself that it is no full one: that of a chain further in, or of another service's.
pub(crate) fn is_degraded<B>(answer: &Response<B>) -> bool {
    let by = answer.extensions().get::<ServedBy>();
    let modes = answer.headers().get_all(DEGRADED_MODE_HEADER);
    let is_said = |mode: &HeaderValue| !mode.as_bytes().eq_ignore_ascii_case(b"false");
    let has_level = answer.headers().contains_key(DEGRADED_LEVEL_HEADER);
    by.is_some_and(|by| by.degraded) || has_level || modes.iter().any(is_said)
}

/// Says that no level has answered, or not in time, and why: a problem in JSON (RFC 9457). Never what a level answered.
pub(crate) fn problem(trail: &Trail, refused: Option<Rejected>) -> Response<Bytes> {
    let mut levels = String::from(r#","levels":["#);
    for (number, tried) in trail.as_slice().iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let (level, reason) = (tried.level(), tried.outcome().as_str());
        let took = tried.took().as_millis();
        // Every string in it is one of ours and needs no escaping. Writing into a string does not fail.
        let _ = write!(
            levels,
            r#"{comma}{{"level":"{level}","reason":"{reason}","took_ms":{took}}}"#
        );
    }
    levels.push(']');
    let (reason, wait) = (reason(refused), trail.retry_after());
    let mut response = render::problem(status(reason), reason.as_str(), wait, &levels);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    carry(response, refused)
}

/// The same as a gRPC status, in a head without a body.
pub(crate) fn grpc_status(trail: &Trail, refused: Option<Rejected>) -> Response<Bytes> {
    let reason = reason(refused);
    let mut message = String::from("no level has answered");
    if matches!(reason, Reason::DeadlineExceeded | Reason::TimedOut) {
        message.push_str(" in time");
    }
    for (number, tried) in trail.as_slice().iter().enumerate() {
        let comma = if number == 0 { ": " } else { ", " };
        let (level, reason) = (tried.level(), tried.outcome().as_str());
        let _ = write!(message, "{comma}{level} {reason}");
    }
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, Code::from(reason).into());
    // Letters, hyphens, colons, commas and spaces: percent-encoded as they are.
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    if let Some(wait) = trail.retry_after() {
        headers.insert(PUSHBACK, pushback(wait).into());
    }
    carry(response, refused)
}

fn reason(refused: Option<Rejected>) -> Reason {
    refused.map_or(Reason::Unavailable, |refused| refused.reason())
}

/// An answer in the place of a refusal carries it, so that whatever stands further out knows it as ours.
fn carry(mut answer: Response<Bytes>, refused: Option<Rejected>) -> Response<Bytes> {
    if let Some(refused) = refused {
        answer.extensions_mut().insert(refused);
    }
    answer
}
