//! What an answer is that has failed before it began.

use std::error::Error;

use buttress_core::{Rejected, find_rejection};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use crate::Code;
use crate::code::GRPC_STATUS;
use crate::render::{self, status};

/// Why an answer that was held does not go on.
pub(super) enum Failed {
    /// Its first bytes say so.
    ByItsBeginning,
    /// Its body has failed.
    ByAnError,
    /// A component of ours has ended it.
    Refused(Rejected),
    /// It was over before it began, with this gRPC status.
    Trailers(HeaderMap),
}

impl Failed {
    pub(super) fn of_error(error: &(dyn Error + Send + Sync + 'static)) -> Self {
        find_rejection(error).map_or(Self::ByAnError, Self::Refused)
    }

    pub(super) fn of_trailers(trailers: &HeaderMap) -> Option<Self> {
        let code = Code::in_headers(trailers)?;
        (code != Code::Ok).then(|| Self::Trailers(trailers.clone()))
    }

    /// The answer in the place of one with this head, of which the extensions stay.
    pub(super) fn answer(self, mut head: Response<()>) -> Response<Bytes> {
        let is_grpc = is_grpc(head.headers());
        let refused = match self {
            Self::Refused(rejected) => Some(rejected),
            _ => None,
        };
        let mut answer = match self {
            Self::Trailers(trailers) => trailers_only(trailers),
            Self::Refused(rejected) if is_grpc => trailers_only(render::trailers(&rejected)),
            _ if is_grpc => trailers_only(unavailable()),
            Self::Refused(rejected) => {
                let reason = rejected.reason();
                let wait = rejected.retry_after();
                render::problem(status(reason), reason.as_str(), wait, "")
            }
            _ => render::problem(StatusCode::BAD_GATEWAY, "failed", None, ""),
        };
        if !is_grpc {
            let no_store = HeaderValue::from_static("no-store");
            answer.headers_mut().insert(CACHE_CONTROL, no_store);
        }
        *answer.extensions_mut() = std::mem::take(head.extensions_mut());
        if let Some(refused) = refused {
            answer.extensions_mut().insert(refused);
        }
        answer
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn unavailable() -> HeaderMap {
    HeaderMap::from_iter([(GRPC_STATUS, Code::Unavailable.into())])
}

/// A gRPC status in a head without a body.
fn trailers_only(trailers: HeaderMap) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.headers_mut() = trailers;
    let grpc = HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert(CONTENT_TYPE, grpc);
    answer
}
