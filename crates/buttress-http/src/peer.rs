use std::net::SocketAddr;
use std::sync::LazyLock;

use buttress_sync::OncePerSecond;
use http::Extensions;
use tokio::time::Instant;

/// The address at the other end of the connection that a request came by: an extension of the request.
///
/// What [`ClientIp`](crate::ClientIp) looks for first, for servers that say it in no way of their own. The server puts it there, for
/// each connection or each request.
///
/// ```
/// use std::net::SocketAddr;
/// use buttress_core::Key;
/// use buttress_http::{ClientIp, Peer};
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Peer(SocketAddr::from(([192, 0, 2, 1], 4711))));
/// assert_eq!(ClientIp::peer().key(&request).unwrap().to_string(), "192.0.2.1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is the address, under a name of our own"
)]
pub struct Peer(pub SocketAddr);

/// The peer, as the server said it.
#[inline]
pub(crate) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    let own = extensions.get().map(|Peer(address)| *address);
    own.or_else(|| of_axum(extensions))
        .or_else(|| extensions.get().copied())
        .or_else(|| of_tonic(extensions))
}

#[cfg(feature = "axum")]
fn of_axum(extensions: &Extensions) -> Option<SocketAddr> {
    use axum::extract::ConnectInfo;
    use axum::extract::connect_info::MockConnectInfo;

    let connected = extensions.get().map(|ConnectInfo(address)| *address);
    // As axum's own extractor does, in a test without a connection.
    connected.or_else(|| extensions.get().map(|MockConnectInfo(address)| *address))
}

#[cfg(not(feature = "axum"))]
const fn of_axum(_: &Extensions) -> Option<SocketAddr> {
    None
}

#[cfg(feature = "tonic")]
fn of_tonic(extensions: &Extensions) -> Option<SocketAddr> {
    use tonic::transport::server::TcpConnectInfo;

    extensions.get().and_then(TcpConnectInfo::remote_addr)
}

#[cfg(not(feature = "tonic"))]
const fn of_tonic(_: &Extensions) -> Option<SocketAddr> {
    None
}

/// When something was last said about requests without a peer.
struct Silence {
    origin: Instant,
    logged: OncePerSecond,
}

static SILENCE: LazyLock<Silence> = LazyLock::new(|| Silence {
    origin: Instant::now(),
    logged: OncePerSecond::default(),
});

/// Says that a request has no peer, and what the commonest cause is; once a second at most.
#[cold]
pub(crate) fn miss() {
    let nanos = SILENCE.origin.elapsed().as_nanos();
    let now = u64::try_from(nanos).unwrap_or(u64::MAX);
    if let Some(requests) = SILENCE.logged.take(now) {
        tracing::warn!(
            target: "buttress::http",
            requests,
            "requests without the address of their peer have no key: \
             serve `app.into_make_service_with_connect_info::<SocketAddr>()` with `axum::serve`, \
             with another server put `buttress_http::Peer` into the extensions"
        );
    }
}
