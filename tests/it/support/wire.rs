use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::soon;

/// Serves `app` on a port of its own, as most users do.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Serves `app` through a service that makes a service for each connection.
pub(crate) async fn serve_made(app: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app.into_make_service()).await });
    address
}

/// Serves `app` so that each request knows the address that it came from.
pub(crate) async fn serve_with_peers(app: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Asks once, on a connection of its own, and reads the whole answer.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str) -> Response<Bytes> {
    Connection::open(address).await.ask(method, path).await
}

/// One connection to a server; dropping it closes it, whatever is under way.
pub(crate) struct Connection {
    sender: Sender,
    authority: String,
    driver: tokio::task::AbortHandle,
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over_http1(TcpStream::connect(address).await.unwrap(), address).await
    }

    /// Opens one from this address of the same machine, such as 127.0.0.2.
    pub(crate) async fn open_from(host: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((host, 0).into()).unwrap();
        Self::over_http1(socket.connect(address).await.unwrap(), address).await
    }

    async fn over_http1(stream: TcpStream, address: SocketAddr) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection.with_upgrades());
        Self::over(Sender::Http1(sender), address, driver.abort_handle())
    }

    pub(crate) async fn open_http2(address: SocketAddr) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        Self::over(Sender::Http2(sender), address, driver.abort_handle())
    }

    fn over(sender: Sender, address: SocketAddr, driver: tokio::task::AbortHandle) -> Self {
        Self {
            sender,
            authority: address.to_string(),
            driver,
        }
    }

    /// Sends a request, and returns once the head of the answer is there.
    pub(crate) async fn send(&mut self, method: &str, path: &str) -> Response<Incoming> {
        let uri = match self.sender {
            Sender::Http1(_) => path.to_owned(),
            Sender::Http2(_) => format!("http://{}{path}", self.authority),
        };
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", &self.authority);
        self.pass(request.body(Empty::new()).unwrap()).await
    }

    /// Sends a request that was made elsewhere.
    pub(crate) async fn pass(&mut self, request: Request<Empty<Bytes>>) -> Response<Incoming> {
        let what = format!("the head of {} {}", request.method(), request.uri());
        let answer = match &mut self.sender {
            Sender::Http1(sender) => soon(&what, sender.send_request(request)).await,
            Sender::Http2(sender) => soon(&what, sender.send_request(request)).await,
        };
        answer.unwrap()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(mut self, method: &str, path: &str) -> Response<Bytes> {
        self.ask_again(method, path).await
    }

    /// The same, and leaves the connection open for a further one.
    pub(crate) async fn ask_again(&mut self, method: &str, path: &str) -> Response<Bytes> {
        let (head, body) = self.send(method, path).await.into_parts();
        let body = soon("the body", body.collect()).await.unwrap();
        Response::from_parts(head, body.to_bytes())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
