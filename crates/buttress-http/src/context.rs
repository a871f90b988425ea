//! What HTTP and gRPC have in common of what a request knows, and for a layer that sends it again.

use buttress_core::{Attempt, Deadline, Mark, Sharing};
use http::header::{AUTHORIZATION, COOKIE};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request};

use crate::RequestHead;

/// The header that tells the next tier that a request is a retry: the number of the retry, from 1.
///
/// It can only forbid: a request that has it is not retried again further in. The first attempt goes without. Its sender can do
/// without it altogether: `announce(false)` of the retry's builder.
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

/// Whom the answer to a request may be kept for: a request that says who sends it is answered for its sender.
pub(crate) fn sharing(headers: &HeaderMap) -> Sharing {
    if headers.contains_key(AUTHORIZATION) || headers.contains_key(COOKIE) {
        Sharing::WithinTenant
    } else {
        Sharing::WithAll
    }
}

fn has_key(headers: &HeaderMap) -> bool {
    let key = headers.get(IDEMPOTENCY_KEY);
    key.is_some_and(|key| !key.as_bytes().trim_ascii().is_empty())
}

pub(crate) fn is_retry(headers: &HeaderMap, extensions: &Extensions) -> bool {
    let attempt = extensions.get::<Attempt>();
    attempt.is_some_and(|attempt| attempt.index > 0)
        || headers.get_all(ATTEMPT_HEADER).iter().any(is_above_zero)
}

fn is_above_zero(value: &HeaderValue) -> bool {
    let digits = value.as_bytes();
    digits.iter().all(u8::is_ascii_digit) && digits.iter().any(|digit| *digit != b'0')
}

pub(crate) fn stamp(request: &mut impl RequestHead, mark: Mark) {
    match mark {
        Mark::Attempt(attempt) => {
            request.extensions_mut().insert(attempt);
        }
        Mark::Retry(number) => {
            // Fails only for a map that is full; in this process the extension says it then.
            let _ = request
                .headers_mut()
                .try_insert(ATTEMPT_HEADER, number.into());
        }
        Mark::Deadline { deadline, .. } => shorten(request.extensions_mut(), deadline),
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

/// Puts a deadline into the extensions of a request or an answer, beside one that is there: of each kind the earlier stays.
pub(crate) fn shorten(extensions: &mut Extensions, deadline: Deadline) {
    let kept = extensions.get_or_insert(deadline);
    *kept = deadline.earlier(*kept);
}

/// As a random UUID (RFC 9562, version 4), for servers that look at that. It is no secret.
fn as_uuid(key: u128) -> String {
    let key = key & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
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

            fn refusal(&self, answer: &Response<B>) -> Option<Rejected> {
                answer.extensions().get().copied()
            }

            fn is_degraded(&self, answer: &Response<B>) -> bool {
                degraded::is_degraded(answer)
            }
        }

        /// The body is kept while it is sent.
        impl<C, M, B> Replay<Request<B>> for $protocol<C, M>
        where
            B: Body<Error: Into<BoxError>>,
        {
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

        /// No error gives a request back, as far as nobody has said how: `recover` of the retry's layer.
        impl<C, M, E, Sent> Recover<E, Sent> for $protocol<C, M> {}
    };
}

pub(crate) use sends_again;

#[cfg(test)]
mod tests;
