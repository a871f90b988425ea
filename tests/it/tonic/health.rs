//! A health service that answers as its caller asks it to, and how to serve and call it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::Router;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Ends calls with the status code whose number is asked for; `"wait"` never ends.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    calls: Arc<AtomicUsize>,
}

type Answers = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

impl Scripted {
    /// How many calls have reached it.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    pub(crate) fn server(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone())
    }
}

/// How a call is asked to end, or `None` for never.
fn end(request: Request<HealthCheckRequest>) -> Option<Result<(), Status>> {
    let service = request.into_inner().service;
    let code = Code::from(service.parse::<i32>().ok()?);
    Some(match code {
        Code::Ok => Ok(()),
        code => Err(Status::new(code, "as it was asked for")),
    })
}

fn serving() -> HealthCheckResponse {
    let status = ServingStatus::Serving.into();
    HealthCheckResponse { status }
}

#[tonic::async_trait]
impl Health for Scripted {
    /// Ends with the head alone, when it fails.
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.calls.fetch_add(1, SeqCst);
        match end(request) {
            Some(end) => end.map(|()| Response::new(serving())),
            None => std::future::pending().await,
        }
    }

    type WatchStream = Answers;

    /// Gives one answer and ends with the trailers.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Answers>, Status> {
        self.calls.fetch_add(1, SeqCst);
        let first = stream::iter([Ok(serving())]);
        Ok(Response::new(match end(request) {
            None => first.chain(stream::pending()).boxed(),
            Some(Ok(())) => first.boxed(),
            Some(Err(status)) => first.chain(stream::iter([Err(status)])).boxed(),
        }))
    }
}

/// The request that asks for this end.
pub(crate) fn ending(code: Code) -> HealthCheckRequest {
    let service = i32::from(code).to_string();
    HealthCheckRequest { service }
}

/// The request that asks for no end.
pub(crate) fn waiting() -> HealthCheckRequest {
    let service = "wait".to_owned();
    HealthCheckRequest { service }
}

/// Serves on a port of its own.
pub(crate) async fn serve<L, B>(router: Router<L>) -> SocketAddr
where
    L: tower::Layer<tonic::service::Routes> + Send + 'static,
    L::Service: tower::Service<
            http::Request<tonic::body::Body>,
            Response = http::Response<B>,
            Future: Send,
            Error: Into<tonic::codegen::StdError> + Send,
        > + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<tonic::codegen::StdError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// Serves a health service without anything around it.
pub(crate) async fn serve_bare(service: &Scripted) -> SocketAddr {
    serve(Server::builder().add_service(service.server())).await
}

/// A channel that connects when it is first needed.
pub(crate) fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_lazy()
}
