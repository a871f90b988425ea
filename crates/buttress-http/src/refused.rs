use buttress_core::Rejected;

/// A refusal as an answer: the error of a handler that uses a component by hand.
///
/// `?` makes it of a [`Rejected`]. With the feature `axum` it is a response, a [`Problem`](crate::Problem) that the layers above
/// know as one of our refusals; with the feature `tonic` it turns into a `tonic::Status`.
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use buttress_core::{Name, Reason, Rejected};
/// use buttress_http::Refused;
///
/// # fn try_acquire() -> Result<(), Rejected> { Err(Rejected::new(Reason::Overloaded, Name::new("reports"))) }
/// async fn report() -> Result<&'static str, Refused> {
///     let permit = try_acquire()?;
///     Ok("the report")
/// }
/// let app: axum::Router = axum::Router::new().route("/report", axum::routing::get(report));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is the refusal, under a name of our own"
)]
pub struct Refused(pub Rejected);

impl From<Rejected> for Refused {
    fn from(rejected: Rejected) -> Self {
        Self(rejected)
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        use crate::{Problem, Render};

        let mut response = Problem.render(&self.0).map(Into::into);
        response.extensions_mut().insert(self.0);
        response
    }
}

#[cfg(feature = "tonic")]
impl From<Refused> for tonic::Status {
    fn from(Refused(rejected): Refused) -> Self {
        use std::sync::Arc;

        use tonic::metadata::MetadataMap;

        let mut headers = http::HeaderMap::new();
        if let Some(wait) = rejected.retry_after() {
            headers.insert(
                crate::by_grpc_status::PUSHBACK,
                crate::render::pushback(wait).into(),
            );
        }
        let code = i32::from(crate::Code::from(rejected.reason()).number());
        let message = rejected.reason().as_str();
        let details = crate::render::details(&rejected).unwrap_or_default();
        let metadata = MetadataMap::from_headers(headers);
        let mut status =
            Self::with_details_and_metadata(code.into(), message, details.into(), metadata);
        status.set_source(Arc::new(rejected));
        status
    }
}

#[cfg(all(test, feature = "axum"))]
mod tests {
    use axum::response::IntoResponse;
    use buttress_core::{Name, Reason};

    use super::*;

    #[test]
    fn a_handler_answers_with_the_problem_and_the_layers_above_know_it() {
        let rejected = Rejected::new(Reason::Throttled, Name::new("per-client"));
        let answer = Refused::from(rejected).into_response();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.extensions().get(), Some(&rejected));
    }
}
