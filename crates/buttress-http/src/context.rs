//! What HTTP and gRPC have in common for a layer that sends a request again.

use buttress_core::{Attempt, Mark};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

/// The header that tells the next tier that a request is a retry: the number of the retry, from 1.
///
/// It can only forbid: a request that has it is not retried again further in. The first attempt goes without.
pub const ATTEMPT_HEADER: HeaderName = HeaderName::from_static("x-buttress-attempt");

/// The header that makes two requests one operation.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether the method, or a key, says that sending it twice has the effect of sending it once.
pub(crate) fn is_repeatable<B>(request: &Request<B>) -> bool {
    let method = request.method();
    // `Method::is_idempotent` leaves nothing out today; the list is ours, so that it stays as it is.
    [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ]
    .contains(method)
        || has_key(request.headers())
}

fn has_key(headers: &HeaderMap) -> bool {
    let key = headers.get(IDEMPOTENCY_KEY);
    key.is_some_and(|key| !key.as_bytes().trim_ascii().is_empty())
}

pub(crate) fn is_retry<B>(request: &Request<B>) -> bool {
    let attempt = request.extensions().get::<Attempt>();
    attempt.is_some_and(|attempt| attempt.index > 0)
        || request
            .headers()
            .get_all(ATTEMPT_HEADER)
            .iter()
            .any(is_above_zero)
}

fn is_above_zero(value: &HeaderValue) -> bool {
    let digits = value.as_bytes();
    digits.iter().all(u8::is_ascii_digit) && digits.iter().any(|digit| *digit != b'0')
}

pub(crate) fn stamp<B>(request: &mut Request<B>, mark: Mark) {
    match mark {
        Mark::Attempt(attempt) => {
            request.extensions_mut().insert(attempt);
            if attempt.index > 0 {
                let headers = request.headers_mut();
                // Fails only for a map that is full; the extension says it then.
                let _ = headers.try_insert(ATTEMPT_HEADER, attempt.index.into());
            }
        }
        Mark::IdempotencyKey(key) if !has_key(request.headers()) => {
            if let Ok(value) = HeaderValue::try_from(as_uuid(key)) {
                let _ = request.headers_mut().try_insert(IDEMPOTENCY_KEY, value);
            }
        }
        Mark::IdempotencyKey(_) => {}
        mark => {
            request.extensions_mut().insert(mark);
        }
    }
}

fn as_uuid(key: u128) -> String {
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        key >> 96,
        (key >> 80) & 0xffff,
        (key >> 64) & 0xffff,
        (key >> 48) & 0xffff,
        key & 0xffff_ffff_ffff
    )
}

/// What both protocols do alike between two attempts.
macro_rules! sends_again {
    ($protocol:ident) => {
        /// Judges the head of the answer by the classifier.
        impl<C, M, B, E> Classify<Response<B>, E> for $protocol<C, M>
        where
            C: Classify<Response<B>, E>,
        {
            #[inline(always)]
            fn classify(&self, result: Result<&Response<B>, &E>) -> Verdict {
                self.classifier.classify(result)
            }

            fn again(&self, result: Result<&Response<B>, &E>) -> Again {
                self.classifier.again(result)
            }
        }

        /// A short body is read to its end, as far as that goes quickly.
        impl<C, M, B: Body> ResponseContext<Response<B>> for $protocol<C, M> {
            type Discard = Discard<B>;

            fn discard(&self, answer: Response<B>) -> Discard<B> {
                Discard::new(answer.into_body())
            }
        }

        /// The body is kept while it is sent.
        impl<C, M, B: Body> Replay<Request<B>> for $protocol<C, M> {
            type Sent = Request<Replayed<B>>;
            type Kept = KeptRequest<B>;

            fn prepare(
                &self,
                request: Request<B>,
                memory: &ReplayMemory,
            ) -> (Self::Sent, Option<Self::Kept>) {
                KeptRequest::prepare(request, memory)
            }

            fn replay(&self, kept: &mut Self::Kept) -> Option<Self::Sent> {
                kept.replay()
            }
        }
    };
}

pub(crate) use sends_again;

#[cfg(test)]
mod tests;
