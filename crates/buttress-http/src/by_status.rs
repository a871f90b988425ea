use std::time::Duration;

use buttress_core::{Again, Classify, Rejectable, Rejected, Verdict};
use http::{Response, StatusCode};

use crate::{Head, retry_after, should_retry, transport};

/// Judges an HTTP call by the status of its answer.
///
/// | outcome | verdict | again |
/// |---|---|---|
/// | a refusal of ours, as an error or as a rendered answer | as its reason says | as its reason says |
/// | 1xx–3xx, 4xx not named below | `Success` | `No` |
/// | 408, 425 | `Neutral` | `Yes` |
/// | 429 | `Throttled` | `Later` |
/// | 500, 502, 504; 503 without `Retry-After` | `Failure` | `Yes` |
/// | 503 with `Retry-After`; 529 | `Overloaded` | `Later` |
/// | 501, 505 | `Neutral` | `No` |
/// | other 5xx, and what is no status at all (6xx and above) | `Failure` | `No` |
/// | connect error, `REFUSED_STREAM` | `Failure` | `NotSent` |
/// | other errors | `Failure` | `Yes` |
///
/// A service that says `x-should-retry: true` or `false` with a status of 400 and above is believed about trying again, whatever
/// the status; what was a success otherwise is `Neutral` with `true`.
///
/// The hint of `Throttled`, `Overloaded` and `Later` is what [`retry_after`] reads. A connection that was never made is known by
/// `ConnectionRefused` among the sources of the error; with the feature `hyper-util` by what that client says, and with the
/// feature `h2` a refused stream is known too.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a classifier without settings is written as its name"
)]
pub struct ByStatus;

impl<B, E: Rejectable> Classify<Response<B>, E> for ByStatus {
    #[inline(always)]
    fn classify(&self, result: Result<&Response<B>, &E>) -> Verdict {
        match result {
            Ok(response) => Head::of(response).usual().0,
            Err(error) => transport::verdict(error),
        }
    }

    fn again(&self, result: Result<&Response<B>, &E>) -> Again {
        match result {
            Ok(response) => Head::of(response).usual().1,
            Err(error) => transport::again(error),
        }
    }
}

impl Head<'_> {
    /// What [`ByStatus`] says of the answer: for a classifier that differs from it in a few cases.
    #[inline(always)]
    #[must_use]
    pub fn usual(&self) -> (Verdict, Again) {
        if let Some(refused) = self.refusal() {
            return (refused.reason().verdict(), refused.reason().again());
        }
        if self.status() < StatusCode::BAD_REQUEST {
            return (Verdict::Success, Again::No);
        }
        self.trouble()
    }

    /// The refusal of ours that this answer was rendered from, when it was made in this process.
    #[inline]
    #[must_use]
    pub fn refusal(&self) -> Option<Rejected> {
        self.extensions().get().copied()
    }

    #[cold]
    fn trouble(&self) -> (Verdict, Again) {
        let hint = retry_after(self.headers());
        let (verdict, again) = self.by_status(hint);
        match (should_retry(self.headers()), again, verdict) {
            (Some(false), ..) => (verdict, Again::No),
            // What is to be asked for again was no success, whoever's fault that is.
            (Some(true), Again::No, Verdict::Success) => (Verdict::Neutral, again_after(hint)),
            (Some(true), Again::No, _) => (verdict, again_after(hint)),
            _ => (verdict, again),
        }
    }

    fn by_status(&self, hint: Option<Duration>) -> (Verdict, Again) {
        let later = Again::Later(hint);
        match self.status().as_u16() {
            408 | 425 => (Verdict::Neutral, Again::Yes),
            429 => (Verdict::Throttled { retry_after: hint }, later),
            503 if hint.is_some() => (Verdict::Overloaded { retry_after: hint }, later),
            529 => (Verdict::Overloaded { retry_after: hint }, later),
            500 | 502 | 503 | 504 => (Verdict::Failure, Again::Yes),
            501 | 505 => (Verdict::Neutral, Again::No),
            ..500 => (Verdict::Success, Again::No),
            // A status above the known classes is to be taken as one of the 5xx (RFC 9110, 15).
            _ => (Verdict::Failure, Again::No),
        }
    }
}

fn again_after(hint: Option<Duration>) -> Again {
    hint.map_or(Again::Yes, |_| Again::Later(hint))
}

#[cfg(test)]
mod tests;
