use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use buttress_core::Key;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Request};

/// Stands for a text of any length: 16 bytes, `Copy`, made by [`by_header`], [`by_path`] and [`by_uri`] without an allocation.
///
/// Made with `SipHash` under a key that each process draws anew, so that nobody outside can look for two texts with one hash, and so
/// that it means nothing to another process. That any two of 100 000 texts meet has a chance of about 10⁻²⁹. It does not tell the
/// text, which may be a secret, in logs either.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashedKey {
    high: u64,
    low: u64,
}

static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl HashedKey {
    /// Of parts, so that the same bytes in other parts are another key.
    fn of<T: AsRef<[u8]>>(parts: impl Iterator<Item = T>) -> Self {
        let mut hasher = SEED.build_hasher();
        for part in parts {
            let part = part.as_ref();
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        // Two texts to a hash that cannot be told from chance, so two numbers that have nothing to do with each other.
        let mut other = hasher.clone();
        hasher.write_u8(0);
        other.write_u8(1);
        Self {
            high: hasher.finish(),
            low: other.finish(),
        }
    }
}

impl fmt::Display for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.high, self.low)
    }
}

impl fmt::Debug for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashedKey({self})")
    }
}

/// Keeps requests apart by what a header says: a [`Key`] for a tenant, an API key, an account.
///
/// | the header | the key |
/// |---|---|
/// | is not there | none: the component's choice |
/// | is empty | that of the empty text, a key like any other |
/// | has a value | that of its bytes as they are, upper and lower case apart |
/// | is there several times | that of all values in their order |
///
/// **A client chooses what it writes.** One that nobody checks writes another value into each request, is limited by nothing, and
/// takes a place for each. So this is for a header that something further out has checked or written: a gateway, an authentication
/// in front of this layer.
///
/// ```
/// use buttress_core::Key;
/// use buttress_http::by_header;
/// use http::{HeaderName, Request};
///
/// let tenant = by_header(HeaderName::from_static("x-tenant"));
/// let of = |value| tenant.key(&Request::get("/").header("x-tenant", value).body(()).unwrap());
/// assert_eq!(of("red"), of("red"));
/// assert_ne!(of("red"), of("blue"));
/// assert_eq!(tenant.key(&Request::new(())), None);
/// ```
#[must_use]
pub const fn by_header(name: HeaderName) -> ByHeader {
    ByHeader(name)
}

/// Takes the key of a request from a header; made by [`by_header`].
#[derive(Clone, Debug)]
pub struct ByHeader(HeaderName);

impl<B> Key<Request<B>> for ByHeader {
    type Key = HashedKey;

    fn key(&self, request: &Request<B>) -> Option<HashedKey> {
        let mut values = request.headers().get_all(&self.0).iter().peekable();
        // Never none for several: whoever doubles the header would choose to have no key.
        values.peek()?;
        Some(HashedKey::of(values))
    }
}

/// Keeps requests apart by the path of their URI, whatever the method and the query: a [`Key`] that every request has.
///
/// The path counts as it came: upper and lower case, percent-encoding and a slash at the end make a difference. gRPC's names the
/// method. It is no key for a cache, to which queries and hosts make a difference: that is [`by_uri`]. **A path with an id in it is a key for each id**, and a client may write any path at all. Where a router knows which route
/// was meant, that is the better key; with axum, in a layer that stands on the router:
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use axum::extract::MatchedPath;
/// use http::Request;
///
/// // `/order/{id}`, and nothing where no route was matched.
/// let by_route = |request: &Request<axum::body::Body>| {
///     let path = request.extensions().get::<MatchedPath>()?;
///     Some(path.as_str().to_owned())
/// };
/// # fn is_key(_: impl buttress_core::Key<Request<axum::body::Body>, Key = String>) {}
/// # is_key(by_route);
/// ```
#[must_use]
pub const fn by_path() -> ByPath {
    ByPath(())
}

/// Keeps requests apart by what they ask for, whatever the method: the host, the path and the query. A [`Key`] that every request has.
///
/// For caches, whose key must hold all that makes a difference to the answer. The host is that of the URI, else of the `Host` header. It
/// counts as it came, in the order in which it came, so that two spellings of one thing are two keys.
///
/// ```
/// use buttress_core::Key;
/// use buttress_http::by_uri;
/// use http::Request;
///
/// let of = |uri| by_uri().key(&Request::get(uri).body(()).unwrap());
/// assert_ne!(of("http://shop/orders?page=1"), of("http://shop/orders?page=2"));
/// assert_ne!(of("http://shop/orders"), of("http://store/orders"));
/// ```
#[must_use]
pub const fn by_uri() -> ByUri {
    ByUri(())
}

/// Takes the key of a request from its URI; made by [`by_uri`].
#[derive(Clone, Copy, Debug)]
pub struct ByUri(());

impl<B> Key<Request<B>> for ByUri {
    type Key = HashedKey;

    fn key(&self, request: &Request<B>) -> Option<HashedKey> {
        let uri = request.uri();
        let in_header = || request.headers().get(HOST).map(HeaderValue::as_bytes);
        let host = uri.authority().map(|host| host.as_str().as_bytes());
        let host = host.or_else(in_header).unwrap_or_default();
        let parts = [host, uri.path().as_bytes()].into_iter();
        Some(HashedKey::of(parts.chain(uri.query().map(str::as_bytes))))
    }
}

/// Takes the key of a request from its path; made by [`by_path`].
#[derive(Clone, Copy, Debug)]
pub struct ByPath(());

impl<B> Key<Request<B>> for ByPath {
    type Key = HashedKey;

    fn key(&self, request: &Request<B>) -> Option<HashedKey> {
        Some(HashedKey::of([request.uri().path()].into_iter()))
    }
}

#[cfg(test)]
mod tests;
