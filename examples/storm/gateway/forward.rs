//! What both gateways do the same way: hand a request on to an upstream.

use std::net::SocketAddr;

use axum::body::HttpBody;
use http::{Request, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::attempts::Tally;
use crate::upstream::{ATTEMPT_HEADER, CALL_HEADER, number};

/// A real client over real sockets, with keep-alive.
pub type HttpClient<B> = Client<HttpConnector, B>;

pub fn client<B>() -> HttpClient<B>
where
    B: HttpBody + Send,
    B::Data: Send,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// The way to an upstream, along which attempts are counted.
#[derive(Clone, Debug)]
pub struct Way {
    pub upstream: SocketAddr,
    pub tally: Tally,
}

impl Way {
    /// Points an attempt at the upstream; everything else stays as the caller sent it.
    ///
    /// The upstream is told how many attempts came before, so that chance treats each on its own.
    pub fn take<B>(&self, mut request: Request<B>) -> Request<B> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.upstream.to_string())
            .path_and_query(path);
        if let Ok(uri) = uri.build() {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.remove(header::HOST);
        if let Some(call) = number(headers, CALL_HEADER) {
            headers.insert(ATTEMPT_HEADER, u16::from(self.tally.note(call)).into());
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_pointed_at_the_upstream_and_numbered() {
        let way = Way {
            upstream: SocketAddr::from(([127, 0, 0, 1], 80)),
            tally: Tally::default(),
        };
        let request = || {
            let request = Request::get("/browse/payments?x=1").header(CALL_HEADER, 7);
            let request = request
                .header(header::HOST, "gateway")
                .header(ATTEMPT_HEADER, 9);
            request.body(()).unwrap()
        };
        for attempt in 0..3_u64 {
            let sent = way.take(request());
            assert_eq!(sent.uri(), "http://127.0.0.1:80/browse/payments?x=1");
            assert_eq!(number(sent.headers(), ATTEMPT_HEADER), Some(attempt));
            assert!(!sent.headers().contains_key(header::HOST));
        }
        assert_eq!(way.tally.of(7), 3);
    }
}
