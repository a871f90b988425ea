use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use buttress_core::Key;
use http::{HeaderMap, Request};

use crate::forwarded::{Field, Hop, hops};
use crate::peer::{miss, peer};
use crate::{Cidr, ClientKey};

/// Tells clients apart by their IP address: a [`Key`] for components that keep one state for each client.
///
/// The address is that of the socket's peer, unless it was said which proxies of one's own stand in front: no header counts but what
/// those have written. There is no clever mode that takes what a request says of itself.
///
/// | | the client is |
/// |---|---|
/// | [`peer()`](Self::peer) | the peer |
/// | [`.trusting([…])`](Self::trusting) | the last address, read from the right, that is none of these proxies; the peer, if that is none itself |
/// | [`.hops(n)`](Self::hops) | the `n`-th address from the right |
///
/// A chain is the list in `X-Forwarded-For`, or the one in `Forwarded` if [`forwarded()`](Self::forwarded) says so; never both,
/// since a proxy that keeps one of them hands on what a client has written into the other. Several lines are one list. Where the
/// list cannot be read as far as it has to be, because an entry there is no address (`unknown`, an identifier like `_hidden`,
/// nonsense), or lies beyond the last 32 entries or 4 KiB, **the client is the peer**: the proxy, with all that come by it. Ports
/// count for nothing.
///
/// IPv4 is kept apart by address, also where it is written as IPv6, and IPv6 by its first 64 bits, which is what a single client
/// has: [`ipv6_prefix`](Self::ipv6_prefix).
///
/// The peer is looked for in the request's extensions: [`Peer`](crate::Peer), with the feature `axum` `ConnectInfo<SocketAddr>` and
/// its mock, a [`SocketAddr`](std::net::SocketAddr) itself, with the feature `tonic` `TcpConnectInfo`. **A request without any has no
/// key**, whatever its headers say, and what becomes of it is the choice of the component that asks; a line in the log, at most one a
/// second, names the commonest cause. With axum it is that the app was served as it is:
///
#[cfg_attr(feature = "axum", doc = "```no_run")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use std::net::SocketAddr;
///
/// # async fn serve(listener: tokio::net::TcpListener, app: axum::Router) -> std::io::Result<()> {
/// // Not `axum::serve(listener, app)`: then nobody says where a request comes from.
/// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
/// # }
/// ```
///
/// ```
/// use std::net::SocketAddr;
/// use buttress_core::Key;
/// use buttress_http::{ClientIp, Peer};
/// use http::Request;
///
/// // The client 203.0.113.9 said that it was 198.51.100.1; the proxy 10.0.0.2 wrote down what it saw.
/// let request = Request::get("/")
///     .header("x-forwarded-for", "198.51.100.1, 203.0.113.9")
///     .extension(Peer(SocketAddr::from(([10, 0, 0, 2], 4711))));
/// let request = request.body(()).unwrap();
///
/// let key = |client: ClientIp| client.key(&request).unwrap().to_string();
/// assert_eq!(key(ClientIp::peer()), "10.0.0.2");
/// assert_eq!(key(ClientIp::peer().trusting(["10.0.0.0/8"])), "203.0.113.9");
/// assert_eq!(key(ClientIp::peer().trusting(["192.168.0.0/16"])), "10.0.0.2");
/// assert_eq!(key(ClientIp::peer().hops(1)), "203.0.113.9");
/// ```
#[derive(Clone, Debug)]
pub struct ClientIp {
    trust: Trust,
    field: Field,
    ipv6_prefix: u8,
}

#[derive(Clone, Debug)]
enum Trust {
    Nobody,
    Networks(Arc<[Cidr]>),
    Hops(u8),
}

/// What a household or a machine gets: whoever has one address of it has them all.
const ONE_CLIENT: u8 = 64;

impl ClientIp {
    /// The peer of the connection, and nothing else; IPv6 by its first 64 bits.
    #[must_use]
    pub const fn peer() -> Self {
        Self {
            trust: Trust::Nobody,
            field: Field::XForwardedFor,
            ipv6_prefix: ONE_CLIENT,
        }
    }

    /// Believes what a peer in one of these networks says, and what it says of another in them, and so on to the first that is in
    /// none: that is the client. Where all are in them, the client is the first of the chain.
    ///
    /// The networks are looked through one by one. They are texts like `10.0.0.0/8`, or [`Cidr`]s; the proxies of a provider are in
    /// lists that it publishes. Trust none that others share: who sends from there may be whoever he likes. In the place of
    /// [`hops`](Self::hops).
    ///
    /// # Panics
    /// When a text is no network; one that is read at run time is parsed into a [`Cidr`] first.
    #[must_use]
    #[track_caller]
    pub fn trusting<C>(self, proxies: impl IntoIterator<Item = C>) -> Self
    where
        C: TryInto<Cidr, Error: fmt::Display>,
    {
        let mut networks = Vec::new();
        for proxy in proxies {
            match proxy.try_into() {
                Ok(network) => networks.push(network),
                #[expect(clippy::panic, reason = "documented, at the caller's line")]
                Err(error) => panic!("client address: {error}"),
            }
        }
        Self {
            trust: Trust::Networks(networks.into()),
            ..self
        }
    }

    /// Believes that each request has come by exactly so many proxies of one's own, the peer among them: the client is the `n`-th
    /// address of the chain from the right. None is the peer itself, and more than 32 are never found.
    ///
    /// For proxies whose addresses are not known beforehand, such as a provider's load balancer. **Only where nobody else can
    /// connect**: whoever goes past them writes the chain himself. A shorter chain is one that cannot be read. In the place of
    /// [`trusting`](Self::trusting).
    #[must_use]
    pub fn hops(self, n: u8) -> Self {
        Self {
            trust: Trust::Hops(n),
            ..self
        }
    }

    /// Reads `Forwarded` (RFC 7239), and not `X-Forwarded-For`, which most proxies write.
    #[must_use]
    pub fn forwarded(self) -> Self {
        Self {
            field: Field::Forwarded,
            ..self
        }
    }

    /// How many bits at the start of an IPv6 address make a client: 64 by default, 128 for each address apart; more than that is
    /// as much. Providers give one customer 48 to 64.
    #[must_use]
    pub fn ipv6_prefix(self, bits: u8) -> Self {
        Self {
            ipv6_prefix: bits,
            ..self
        }
    }

    /// The key that a client with this address has here: to look at, or change, what a component holds against it.
    #[must_use]
    pub fn key_of(&self, address: IpAddr) -> ClientKey {
        ClientKey::new(address, self.ipv6_prefix)
    }

    #[inline]
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let told = match &self.trust {
            Trust::Nobody => None,
            Trust::Networks(networks) => first_stranger(networks, peer, hops(headers, self.field)),
            Trust::Hops(n) => nth(*n, hops(headers, self.field)),
        };
        told.unwrap_or(peer)
    }
}

/// The client, as proxies in these networks tell it.
fn first_stranger(
    networks: &[Cidr],
    peer: IpAddr,
    hops: impl Iterator<Item = Hop>,
) -> Option<IpAddr> {
    let is_ours = |address| networks.iter().any(|network| network.contains(address));
    if !is_ours(peer) {
        return None;
    }
    let mut farthest = None;
    for hop in hops {
        let Hop::Address(address) = hop else {
            return None;
        };
        if !is_ours(address) {
            return Some(address);
        }
        farthest = Some(address);
    }
    farthest
}

/// The client, as the proxy tells it that is the farthest of so many. What nearer ones call each other does not matter.
fn nth(n: u8, mut hops: impl Iterator<Item = Hop>) -> Option<IpAddr> {
    match hops.nth(usize::from(n.checked_sub(1)?))? {
        Hop::Address(address) => Some(address),
        Hop::Unknown => None,
    }
}

impl<B> Key<Request<B>> for ClientIp {
    type Key = ClientKey;

    #[inline]
    fn key(&self, request: &Request<B>) -> Option<ClientKey> {
        let Some(peer) = peer(request.extensions()) else {
            miss();
            return None;
        };
        Some(self.key_of(self.client(peer.ip(), request.headers())))
    }
}

#[cfg(test)]
mod tests;
