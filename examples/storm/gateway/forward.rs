//! What both gateways do the same way: hand a request on to an upstream.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::Request;
use http::{Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A real client over real sockets, with keep-alive.
pub type HttpClient = Client<HttpConnector, Body>;

pub fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Points a request at an upstream; everything else stays as the caller sent it.
pub fn redirect(mut request: Request, upstream: SocketAddr) -> Request {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let uri = Uri::builder()
        .scheme("http")
        .authority(upstream.to_string())
        .path_and_query(path);
    if let Ok(uri) = uri.build() {
        *request.uri_mut() = uri;
    }
    request.headers_mut().remove(header::HOST);
    request
}
