use std::fmt;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, HeaderName, SET_COOKIE, TRANSFER_ENCODING, UPGRADE, VARY,
};
use http::{HeaderMap, Response, StatusCode, Version};

/// An answer as a cache keeps it: its head, its whole body, and its trailers.
///
/// At most 256 KiB of a body are kept.
#[derive(Clone)]
pub struct KeptAnswer {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// The most that is kept of a body.
pub(crate) const MOST: usize = 256 * 1024;

/// What belongs to one connection and not to the answer (RFC 9110, 7.6.1), and what is said anew.
const NOT_KEPT: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
    http::header::AGE,
];

impl KeptAnswer {
    /// The head of this answer, without its body.
    pub(crate) fn head_of<B>(response: &Response<B>) -> Self {
        let mut headers = response.headers().clone();
        for name in &NOT_KEPT {
            headers.remove(name);
        }
        Self {
            status: response.status(),
            version: response.version(),
            headers,
            body: Bytes::new(),
            trailers: None,
        }
    }

    /// How many bytes it takes, names and values of headers included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of = |map: &HeaderMap| -> usize {
            map.iter()
                .map(|(name, value)| name.as_str().len() + value.len() + 32)
                .sum()
        };
        self.body.len() + of(&self.headers) + self.trailers.as_ref().map_or(0, of)
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

impl fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswer")
            .field("status", &self.status)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Whether an answer may be given to somebody else.
pub(crate) fn may_be_kept<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    response.status().is_success()
        && response.status() != StatusCode::PARTIAL_CONTENT
        && !headers.contains_key(SET_COOKIE)
        && !says(headers, &CACHE_CONTROL, &["no-store", "private"])
        && !says(headers, &VARY, &["*"])
}

/// Whether one of these words stands in a header that lists some; a word may have an argument. What cannot be read says anything.
fn says(headers: &HeaderMap, name: &HeaderName, words: &[&str]) -> bool {
    headers.get_all(name).iter().any(|value| {
        let Ok(value) = value.to_str() else {
            return true;
        };
        value.split(',').any(|item| {
            let word = item.split('=').next().unwrap_or_default().trim();
            words.iter().any(|of| word.eq_ignore_ascii_case(of))
        })
    })
}
