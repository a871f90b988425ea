//! What the load generator knows of a call once it is over.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::clients::Caller;
use crate::levels::Level;
use crate::stage::{Class, Side, Upstream};
use crate::upstream::UPSTREAM_HEADER;

/// One call to one gateway, from the instant it was due.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub side: Side,
    pub upstream: Upstream,
    pub class: Class,
    pub caller: Caller,
    /// When it was to be sent, counted from the start of the run.
    pub due: Duration,
    /// How much later it was sent: the generator's own fault.
    pub late: Duration,
    /// From the instant it was due, not sent, to the last byte of the answer, whatever it says.
    pub latency: Duration,
    pub outcome: Outcome,
    /// How often the gateway sent it to the upstream.
    pub attempts: u8,
}

/// How a call ended, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A 2xx that is not degraded.
    Served,
    /// A 2xx that says it is less than what was asked for, and whence it comes.
    Degraded(Level),
    /// The gateway refused it: 503, and no upstream was asked, or not once more.
    Refused,
    /// The gateway limits how often its client calls: 429.
    Limited,
    /// The gateway ran out of patience: 504.
    TimedOut,
    /// Anything else: an upstream's own failure, a broken connection, no answer in time.
    Failed,
}

impl Outcome {
    /// Reads the head of an answer.
    pub fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let degraded = headers.contains_key("x-degraded-mode");
        let by_gateway = !headers.contains_key(UPSTREAM_HEADER);
        match status {
            // Whoever degrades an answer says how: one that does not is none.
            _ if status.is_success() && degraded => {
                Level::of(headers).map_or(Self::Failed, Self::Degraded)
            }
            _ if status.is_success() => Self::Served,
            StatusCode::TOO_MANY_REQUESTS if by_gateway => Self::Limited,
            StatusCode::SERVICE_UNAVAILABLE if by_gateway => Self::Refused,
            StatusCode::GATEWAY_TIMEOUT => Self::TimedOut,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn outcome(status: u16, header: Option<&'static str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(name, HeaderValue::from_static("true"));
        }
        Outcome::of(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_degraded_answer_is_no_success_and_says_whence_it_comes() {
        assert_eq!(outcome(200, Some(UPSTREAM_HEADER)), Outcome::Served);
        assert_eq!(outcome(200, Some("x-degraded-mode")), Outcome::Failed);
        let headers = [("x-degraded-mode", "true"), ("x-degraded-level", "default")];
        let headers = headers.map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let headers = HeaderMap::from_iter(headers);
        let outcome = |status| Outcome::of(status, &headers);
        assert_eq!(outcome(StatusCode::OK), Outcome::Degraded(Level::Default));
        assert_eq!(outcome(StatusCode::BAD_GATEWAY), Outcome::Failed);
    }

    #[test]
    fn a_503_is_a_refusal_only_when_no_upstream_gave_it() {
        assert_eq!(outcome(503, None), Outcome::Refused);
        assert_eq!(outcome(429, None), Outcome::Limited);
        assert_eq!(outcome(429, Some(UPSTREAM_HEADER)), Outcome::Failed);
        assert_eq!(outcome(503, Some(UPSTREAM_HEADER)), Outcome::Failed);
    }

    #[test]
    fn timeouts_are_told_from_other_failures() {
        assert_eq!(outcome(504, None), Outcome::TimedOut);
        assert_eq!(outcome(502, None), Outcome::Failed);
        assert_eq!(outcome(404, None), Outcome::Failed);
    }
}
