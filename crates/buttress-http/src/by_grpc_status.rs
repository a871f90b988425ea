use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use buttress_core::{Again, Classify, Rejectable, Verdict};
use http::{HeaderMap, HeaderName, Response, StatusCode};

use crate::retry_after::{believed, whole_number};
use crate::{Code, Head, retry_info, transport};

/// The header or trailer in which a gRPC server says when to try again.
pub(crate) const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Judges a gRPC call by its status, in a head without a body or in the trailers.
///
/// | outcome | verdict | again |
/// |---|---|---|
/// | a refusal of ours, as an error or as a rendered answer | as its reason says | as its reason says |
/// | `UNAVAILABLE` | `Failure` | `Yes`; `Later` with a push-back, `No` with a negative one |
/// | `RESOURCE_EXHAUSTED` | `Throttled` | `Later` with a push-back, else `No` |
/// | `UNKNOWN`, `INTERNAL`, `DATA_LOSS`, `DEADLINE_EXCEEDED` | `Failure` | `No` |
/// | `CANCELLED`, `ABORTED` | `Neutral` | `No` |
/// | other codes | `Success` | `No` |
/// | connect error, `REFUSED_STREAM` | `Failure` | `NotSent` |
/// | other errors | `Failure` | `Yes` |
///
/// The push-back is read from `grpc-retry-pushback-ms`; one that is no number, negative or longer than a year forbids another
/// try. Where that is not there, the delay of a `google.rpc.RetryInfo` among the details of the status is one; what is malformed there
/// is ignored. An answer without a code is judged by the code that gRPC maps its HTTP status to; the head of an answer that may still
/// bring one in its trailers counts as a success until then, and a body that ends without one as `UNKNOWN`. Over gRPC-Web the
/// code stands in the body, where nobody looks: there the HTTP status decides.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a classifier without settings is written as its name"
)]
pub struct ByGrpcStatus;

impl<B, E: Rejectable> Classify<Response<B>, E> for ByGrpcStatus {
    #[inline]
    fn classify(&self, result: Result<&Response<B>, &E>) -> Verdict {
        match result {
            Ok(response) => judged(Head::of(response), usual).0,
            Err(error) => transport::verdict(error),
        }
    }

    fn again(&self, result: Result<&Response<B>, &E>) -> Again {
        match result {
            Ok(response) => judged(Head::of(response), usual).1,
            Err(error) => transport::again(error),
        }
    }
}

/// Judges the trailers with which a body has ended.
impl Classify<HeaderMap, Infallible> for ByGrpcStatus {
    fn classify(&self, trailers: Result<&HeaderMap, &Infallible>) -> Verdict {
        ending(trailers, usual).0
    }

    fn again(&self, trailers: Result<&HeaderMap, &Infallible>) -> Again {
        ending(trailers, usual).1
    }
}

/// Judges a gRPC call by its code, wherever that stands.
///
/// Errors and refusals of ours are judged as [`ByGrpcStatus`] does, and whether to try again follows from the verdict.
///
/// ```
/// use buttress_core::Verdict;
/// use buttress_http::{by_code, Code};
///
/// // `breaker.layer().grpc().classify(classifier)`
/// let classifier = by_code(|code| match code {
///     Code::Ok => Verdict::Success,
///     _ => Verdict::Failure,
/// });
/// # use buttress_core::Classify;
/// # assert_eq!(classifier.classify(Ok(&http::HeaderMap::new())), Verdict::Failure);
/// ```
pub fn by_code<F>(judge: F) -> ByCode<F>
where
    F: Fn(Code) -> Verdict,
{
    ByCode(judge)
}

/// A classifier that judges gRPC codes; made by [`by_code`].
#[derive(Clone, Copy)]
pub struct ByCode<F>(F);

impl<F> fmt::Debug for ByCode<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByCode")
    }
}

impl<F: Fn(Code) -> Verdict> ByCode<F> {
    fn both(&self, code: Code, _: &HeaderMap) -> (Verdict, Again) {
        let verdict = (self.0)(code);
        (verdict, verdict.into())
    }
}

impl<F, B, E> Classify<Response<B>, E> for ByCode<F>
where
    F: Fn(Code) -> Verdict,
    E: Rejectable,
{
    #[inline]
    fn classify(&self, result: Result<&Response<B>, &E>) -> Verdict {
        match result {
            Ok(response) => judged(Head::of(response), |code, head| self.both(code, head)).0,
            Err(error) => transport::verdict(error),
        }
    }

    fn again(&self, result: Result<&Response<B>, &E>) -> Again {
        match result {
            Ok(response) => judged(Head::of(response), |code, head| self.both(code, head)).1,
            Err(error) => transport::again(error),
        }
    }
}

impl<F: Fn(Code) -> Verdict> Classify<HeaderMap, Infallible> for ByCode<F> {
    fn classify(&self, trailers: Result<&HeaderMap, &Infallible>) -> Verdict {
        ending(trailers, |code, trailers| self.both(code, trailers)).0
    }
}

/// Whether the head has said how the call ended, or its code may still come in the trailers.
#[inline]
pub(crate) fn is_decided(head: Head<'_>) -> bool {
    head.refusal().is_some()
        || head.status() != StatusCode::OK
        || Code::in_headers(head.headers()).is_some()
        || is_grpc_web(head.headers())
}

#[inline]
fn judged(
    head: Head<'_>,
    judge: impl FnOnce(Code, &HeaderMap) -> (Verdict, Again),
) -> (Verdict, Again) {
    if let Some(refused) = head.refusal() {
        return (refused.reason().verdict(), refused.reason().again());
    }
    match Code::in_headers(head.headers()) {
        Some(code) => judge(code, head.headers()),
        None if head.status() == StatusCode::OK => (Verdict::Success, Again::No),
        None => judge(Code::for_http(head.status()), head.headers()),
    }
}

#[inline]
fn ending(
    trailers: Result<&HeaderMap, &Infallible>,
    judge: impl FnOnce(Code, &HeaderMap) -> (Verdict, Again),
) -> (Verdict, Again) {
    match trailers {
        Ok(trailers) => judge(
            Code::in_headers(trailers).unwrap_or(Code::Unknown),
            trailers,
        ),
        Err(never) => match *never {},
    }
}

fn usual(code: Code, headers: &HeaderMap) -> (Verdict, Again) {
    match code {
        Code::Unavailable => (Verdict::Failure, Pushback::of(headers).again(Again::Yes)),
        Code::ResourceExhausted => {
            let pushback = Pushback::of(headers);
            (
                Verdict::Throttled {
                    retry_after: pushback.hint(),
                },
                pushback.again(Again::No),
            )
        }
        Code::Unknown | Code::Internal | Code::DataLoss | Code::DeadlineExceeded => {
            (Verdict::Failure, Again::No)
        }
        Code::Cancelled | Code::Aborted => (Verdict::Neutral, Again::No),
        _ => (Verdict::Success, Again::No),
    }
}

/// What the server says about another try.
#[derive(Clone, Copy)]
enum Pushback {
    Nothing,
    After(Duration),
    Never,
}

impl Pushback {
    fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(PUSHBACK) else {
            let delay = retry_info::in_headers(headers);
            return delay.map_or(Self::Nothing, Self::from);
        };
        let wait = value
            .to_str()
            .ok()
            .and_then(whole_number)
            .map(Duration::from_millis);
        wait.map_or(Self::Never, Self::from)
    }

    const fn hint(self) -> Option<Duration> {
        if let Self::After(wait) = self {
            Some(wait)
        } else {
            None
        }
    }

    const fn again(self, unsaid: Again) -> Again {
        match self {
            Self::Nothing => unsaid,
            Self::After(wait) => Again::Later(Some(wait)),
            Self::Never => Again::No,
        }
    }
}

/// A wait that is longer than anyone would mean is none to be waited for, and none to be cut short.
impl From<Duration> for Pushback {
    fn from(wait: Duration) -> Self {
        believed(wait).map_or(Self::Never, Self::After)
    }
}

fn is_grpc_web(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc-web"))
}

#[cfg(test)]
mod tests;
