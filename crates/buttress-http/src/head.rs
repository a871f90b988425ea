use std::fmt;

use buttress_core::{Again, Classify, Rejectable, Verdict};
use http::{Extensions, HeaderMap, Response, StatusCode};

use crate::transport;

/// The head of an answer, without its body: what a classifier looks at.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    /// The head of this answer.
    #[inline]
    #[must_use]
    pub fn of<B>(response: &'a Response<B>) -> Self {
        Self {
            status: response.status(),
            headers: response.headers(),
            extensions: response.extensions(),
        }
    }

    /// The status of the answer.
    #[inline]
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the answer.
    #[must_use]
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The extensions of the answer.
    #[must_use]
    pub const fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

/// Judges an HTTP call by the head of its answer, whatever the type of its body.
///
/// The closure is asked about answers. Errors and refusals of ours are judged as [`ByStatus`](crate::ByStatus) does, and
/// whether to try again follows from the verdict.
///
/// ```
/// use buttress_core::Verdict;
/// use buttress_http::by_head;
///
/// // For this dependency an order that is gone is a failure: `breaker.layer().http().classify(classifier)`.
/// let classifier = by_head(|head| match head.status().as_u16() {
///     404 => Verdict::Failure,
///     _ => head.usual().0,
/// });
/// # use buttress_core::{Classify, Rejected};
/// # let mut response = http::Response::new(());
/// # assert_eq!(Classify::<_, Rejected>::classify(&classifier, Ok(&response)), Verdict::Success);
/// # *response.status_mut() = http::StatusCode::NOT_FOUND;
/// # assert_eq!(Classify::<_, Rejected>::classify(&classifier, Ok(&response)), Verdict::Failure);
/// ```
pub fn by_head<F>(judge: F) -> ByHead<F>
where
    F: Fn(Head<'_>) -> Verdict,
{
    ByHead(judge)
}

/// A classifier that judges heads; made by [`by_head`].
#[derive(Clone, Copy)]
pub struct ByHead<F>(F);

impl<F> fmt::Debug for ByHead<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByHead")
    }
}

impl<F, B, E> Classify<Response<B>, E> for ByHead<F>
where
    F: Fn(Head<'_>) -> Verdict,
    E: Rejectable,
{
    #[inline]
    fn classify(&self, result: Result<&Response<B>, &E>) -> Verdict {
        judged(result, |response| (self.0)(Head::of(response)))
    }

    fn again(&self, result: Result<&Response<B>, &E>) -> Again {
        again(result, |result| self.classify(result))
    }
}

/// Judges an HTTP call by its whole answer, for one type of body.
///
/// As [`by_head`], with the [`Response`] itself. The type of the body is that of the layer's own place in the stack; write
/// `Response<_>`, because every layer below that follows the body to its last frame changes it.
///
/// ```
/// use buttress_core::Verdict;
/// use buttress_http::by_response;
/// use http::Response;
///
/// let classifier = by_response(|response: &Response<_>| match response.status().as_u16() {
///     404 => Verdict::Failure,
///     _ => Verdict::Success,
/// });
/// # use buttress_core::{Classify, Rejected};
/// # assert_eq!(Classify::<_, Rejected>::classify(&classifier, Ok(&Response::new(()))), Verdict::Success);
/// ```
pub fn by_response<B, F>(judge: F) -> ByResponse<F>
where
    F: Fn(&Response<B>) -> Verdict,
{
    ByResponse(judge)
}

/// A classifier that judges whole answers; made by [`by_response`].
#[derive(Clone, Copy)]
pub struct ByResponse<F>(F);

impl<F> fmt::Debug for ByResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByResponse")
    }
}

impl<F, B, E> Classify<Response<B>, E> for ByResponse<F>
where
    F: Fn(&Response<B>) -> Verdict,
    E: Rejectable,
{
    #[inline]
    fn classify(&self, result: Result<&Response<B>, &E>) -> Verdict {
        judged(result, &self.0)
    }

    fn again(&self, result: Result<&Response<B>, &E>) -> Again {
        again(result, |result| self.classify(result))
    }
}

/// Errors and refusals of ours are judged as ever; the user's closure judges every other answer.
#[inline]
fn judged<B, E: Rejectable>(
    result: Result<&Response<B>, &E>,
    judge: impl FnOnce(&Response<B>) -> Verdict,
) -> Verdict {
    match result {
        Ok(response) => match Head::of(response).refusal() {
            None => judge(response),
            Some(refused) => refused.reason().verdict(),
        },
        Err(error) => transport::verdict(error),
    }
}

fn again<'a, B, E: Rejectable>(
    result: Result<&'a Response<B>, &'a E>,
    classify: impl FnOnce(Result<&'a Response<B>, &'a E>) -> Verdict,
) -> Again {
    match result {
        Ok(response) => match Head::of(response).refusal() {
            None => classify(result).into(),
            Some(refused) => refused.reason().again(),
        },
        Err(error) => transport::again(error),
    }
}

#[cfg(test)]
mod tests;
