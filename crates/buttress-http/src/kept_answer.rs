use std::fmt;

use buttress_core::Asking;
use bytes::Bytes;
use http::header::{
    AGE, CONNECTION, HeaderName, PROXY_AUTHENTICATE, RETRY_AFTER, SET_COOKIE, TRANSFER_ENCODING,
    UPGRADE, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};

use crate::caching::names;
use crate::degraded::{DEGRADED_LEVEL_HEADER, DEGRADED_MODE_HEADER};

/// An answer as a cache keeps it: its head, its whole body, its trailers, and what of its request it varies with.
///
/// At most 256 KiB of a body are kept. All of it is a copy, so that nothing small holds on to something large.
#[derive(Clone)]
pub struct KeptAnswer {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    /// The headers of the request that `Vary` names, as they were.
    varies: Vec<(HeaderName, Vec<HeaderValue>)>,
}

/// The most that is kept of a body.
pub(crate) const MOST: usize = 256 * 1024;

/// What belongs to one connection (RFC 9110, 7.6.1) or one client, and not to the answer, and what is said anew.
const NOT_KEPT: [HeaderName; 16] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHENTICATE,
    TRANSFER_ENCODING,
    UPGRADE,
    RETRY_AFTER,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    AGE,
    DEGRADED_MODE_HEADER,
    DEGRADED_LEVEL_HEADER,
];

impl KeptAnswer {
    /// The head of this answer to this request, without its body.
    pub(crate) fn head_of<B>(response: &Response<B>, asking: &Asking) -> Self {
        let headers = response.headers();
        let mut not_kept = names(headers, &CONNECTION);
        not_kept.extend(NOT_KEPT);
        Self {
            status: response.status(),
            version: response.version(),
            headers: copy(headers, |name| !not_kept.contains(name)),
            body: Bytes::new(),
            trailers: None,
            varies: variant(names(headers, &VARY), asking),
        }
    }

    /// Keeps the trailers, too, and says how many bytes they take.
    pub(crate) fn end(&mut self, trailers: &HeaderMap) -> usize {
        let is_own = |name: &HeaderName| *name == SET_COOKIE || NOT_KEPT.contains(name);
        let trailers = copy(trailers, |name| !is_own(name));
        let bytes = size(&trailers);
        self.trailers = Some(trailers);
        bytes
    }

    /// Whether this request would have been answered so, as far as the answer says what it varies with.
    pub(crate) fn fits(&self, asking: &Asking) -> bool {
        let request = headers_of(asking);
        self.varies.iter().all(|(name, values)| {
            let asked = request
                .into_iter()
                .flat_map(|headers| headers.get_all(name));
            asked.eq(values)
        })
    }

    /// How many bytes it takes, names and values of headers and the room for them included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let trailers = self.trailers.as_ref().map_or(0, size);
        let values = |values: &Vec<HeaderValue>| values.iter().map(HeaderValue::len).sum::<usize>();
        let of_one = |(name, of): &(HeaderName, Vec<HeaderValue>)| {
            name.as_str().len() + values(of) + (1 + of.len()) * OF_ONE
        };
        let varies: usize = self.varies.iter().map(of_one).sum();
        size_of::<Self>() + self.body.len() + size(&self.headers) + trailers + varies
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Its whole body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}

/// What a header takes beside its bytes: its place in the map, and what counts the references to its name and its value.
const OF_ONE: usize = size_of::<HeaderName>() + size_of::<HeaderValue>() + 64;

fn size(map: &HeaderMap) -> usize {
    let of_one = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    map.capacity() * OF_ONE + map.iter().map(of_one).sum::<usize>()
}

/// A copy that shares no memory with what may be the buffer of a connection.
fn copy(headers: &HeaderMap, keeps: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut copied = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers.iter().filter(|(name, _)| keeps(name)) {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        // Neither fails: both were there, and so was the room for them.
        if let (Ok(name), Some(value)) = (name, copy_value(value)) {
            let _ = copied.try_append(name, value);
        }
    }
    copied
}

fn copy_value(value: &HeaderValue) -> Option<HeaderValue> {
    let mut copied = HeaderValue::from_bytes(value.as_bytes()).ok()?;
    copied.set_sensitive(value.is_sensitive());
    Some(copied)
}

fn variant(names: Vec<HeaderName>, asking: &Asking) -> Vec<(HeaderName, Vec<HeaderValue>)> {
    let request = headers_of(asking);
    let values = |name: &HeaderName| {
        let asked = request
            .into_iter()
            .flat_map(|headers| headers.get_all(name));
        asked.filter_map(copy_value).collect()
    };
    let with_values = |name| {
        let values = values(&name);
        (name, values)
    };
    names.into_iter().map(with_values).collect()
}

/// The headers of the request, as the protocol has put them there.
fn headers_of(asking: &Asking) -> Option<&HeaderMap> {
    asking.variant.as_deref()?.downcast_ref()
}

impl fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswer")
            .field("status", &self.status)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
