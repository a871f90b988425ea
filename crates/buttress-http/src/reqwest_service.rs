use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use reqwest::{Body, Client};
use tower_service::Service;

/// A reqwest client as a service of HTTP requests, for layers that speak HTTP: a client itself takes reqwest's own requests only.
///
/// ```
/// use buttress_http::{ReqwestService, SendAsLayer};
/// use tower::ServiceBuilder;
///
/// // The layers go above: `.layer(retry.layer().http())`, and `WidenLayer` below them.
/// let client = ServiceBuilder::new()
///     .layer(SendAsLayer::<reqwest::Body>::new())
///     .service(ReqwestService::new(reqwest::Client::new()));
/// # let _: tower::util::BoxCloneService<http::Request<http_body_util::Full<bytes::Bytes>>, _, _> =
/// #     tower::util::BoxCloneService::new(client);
/// ```
///
/// # Errors
/// Those of the client; also for a URI that it does not take.
#[derive(Clone, Debug)]
pub struct ReqwestService(Client);

impl ReqwestService {
    /// Sends requests through `client`.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self(client)
    }
}

pin_project! {
    /// The future of [`ReqwestService`].
    ///
    /// # Cancel safety
    /// Dropping it ends the call.
    #[derive(Debug)]
    pub struct ReqwestFuture {
        #[pin]
        call: Call,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = CallProjection]
    enum Call {
        Made { #[pin] call: <Client as Service<reqwest::Request>>::Future },
        Refused { error: Option<reqwest::Error> },
    }
}

impl Service<Request<Body>> for ReqwestService {
    type Response = Response<Body>;
    type Error = reqwest::Error;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> ReqwestFuture {
        let call = match reqwest::Request::try_from(request) {
            Ok(request) => Call::Made {
                call: self.0.call(request),
            },
            Err(error) => Call::Refused { error: Some(error) },
        };
        ReqwestFuture { call }
    }
}

impl Future for ReqwestFuture {
    type Output = Result<Response<Body>, reqwest::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().call.project() {
            CallProjection::Made { call } => call.poll(cx).map_ok(Response::from),
            CallProjection::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                // Polled after its end.
                None => Poll::Pending,
            },
        }
    }
}
