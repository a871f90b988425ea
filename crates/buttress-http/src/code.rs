use buttress_core::Reason;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The header or trailer that carries the status of a gRPC call.
pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The status code of a gRPC call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "gRPC fixes the seventeen, and reads any other as `Unknown`"
)]
#[repr(u8)]
pub enum Code {
    /// The call succeeded.
    Ok,
    /// The caller went away.
    Cancelled,
    /// Nobody knows what happened; also a call whose status never came.
    Unknown,
    /// The request makes no sense.
    InvalidArgument,
    /// The deadline passed first.
    DeadlineExceeded,
    /// What was asked for is not there.
    NotFound,
    /// What was to be made is there already.
    AlreadyExists,
    /// The caller may not do this.
    PermissionDenied,
    /// A quota is spent, or there is no room.
    ResourceExhausted,
    /// The system is not in the state that the call needs.
    FailedPrecondition,
    /// The call lost against another.
    Aborted,
    /// The request reaches past the end.
    OutOfRange,
    /// There is no such method.
    Unimplemented,
    /// Something is broken inside.
    Internal,
    /// The service is not there now.
    Unavailable,
    /// Data is gone for good.
    DataLoss,
    /// The caller did not say who it is.
    Unauthenticated,
}

impl Code {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code as it stands in `grpc-status`.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads `grpc-status` from a head or from trailers; a value that is no code is `Unknown`.
    #[must_use]
    pub fn in_headers(headers: &HeaderMap) -> Option<Self> {
        headers.get(GRPC_STATUS).map(Self::read)
    }

    /// The code for an answer that carries none of its own: what the HTTP status stands for.
    ///
    /// As gRPC's own mapping has it. A 200 without a code is `Unknown`.
    #[must_use]
    pub fn for_http(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::Internal,
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN => Self::PermissionDenied,
            StatusCode::NOT_FOUND => Self::Unimplemented,
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    fn read(value: &HeaderValue) -> Self {
        let number = value
            .to_str()
            .ok()
            // Digits only: `parse` would take a sign.
            .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|value| value.parse::<usize>().ok());
        number
            .and_then(|number| Self::ALL.get(number).copied())
            .unwrap_or(Self::Unknown)
    }
}

impl From<Reason> for Code {
    /// The code that a refusal of ours is answered with.
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Overloaded | Reason::Throttled => Self::ResourceExhausted,
            Reason::DeadlineExceeded | Reason::TimedOut => Self::DeadlineExceeded,
            Reason::Conflict => Self::Aborted,
            _ => Self::Unavailable,
        }
    }
}

impl From<Code> for HeaderValue {
    fn from(code: Code) -> Self {
        Self::from(u16::from(code.number()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_its_header() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.number()), number);
            let headers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(code))]);
            assert_eq!(Code::in_headers(&headers), Some(code));
        }
    }

    #[test]
    fn what_is_no_code_is_unknown_and_what_is_not_there_is_none() {
        for value in ["17", "-1", "", "OK", "99999999999999999999", "0x1"] {
            let headers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static(value))]);
            assert_eq!(Code::in_headers(&headers), Some(Code::Unknown), "{value:?}");
        }
        assert_eq!(Code::in_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn every_reason_has_the_code_of_the_table() {
        for (reason, code) in [
            (Reason::Overloaded, Code::ResourceExhausted),
            (Reason::Unavailable, Code::Unavailable),
            (Reason::Throttled, Code::ResourceExhausted),
            (Reason::DeadlineExceeded, Code::DeadlineExceeded),
            (Reason::TimedOut, Code::DeadlineExceeded),
            (Reason::Conflict, Code::Aborted),
        ] {
            assert_eq!(Code::from(reason), code, "{reason}");
        }
    }

    #[test]
    fn an_http_status_stands_for_the_code_that_grpc_gives_it() {
        for (status, code) in [
            (200, Code::Unknown),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (429, Code::Unavailable),
            (500, Code::Unknown),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Code::for_http(status), code, "{status}");
        }
    }
}
