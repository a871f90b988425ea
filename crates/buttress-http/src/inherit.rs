use buttress_core::{Deadline, Mark, Priority};
use http::request::Parts;
use http::{Extensions, HeaderMap, Request};

use crate::context;

/// Carries what a handler's request knows of its call to a request that the handler sends: the deadline, the priority and the
/// mark of a retry.
///
/// | | is carried |
/// |---|---|
/// | [`Deadline`] | where `outgoing` has none, or a later one: nobody waits for an answer that comes after its own caller has gone |
/// | [`Priority`] | where `outgoing` has none |
/// | mark of a retry, [`ATTEMPT_HEADER`](crate::ATTEMPT_HEADER) | always: retries at three tiers then add up, instead of multiplying |
///
/// Either may be an [`http::Request`], its [`Parts`], or, with the feature `tonic`, a `tonic::Request`. The deadline becomes a
/// header for the next service in a layer that limits time, on the client that sends `outgoing`.
///
/// ```
/// use std::time::Duration;
/// use buttress_core::Deadline;
/// use buttress_http::{ATTEMPT_HEADER, inherit};
/// use http::Request;
/// use tokio::time::Instant;
///
/// // What a handler gets: `respond_grpc`, or a trusting `respond`, has read the deadline from its header.
/// let deadline = Deadline::after(Instant::now(), Duration::from_secs(2));
/// let incoming = Request::get("/order/7").header(ATTEMPT_HEADER, "1").extension(deadline);
/// let incoming = incoming.body(()).unwrap();
///
/// // What it sends to another service.
/// let mut outgoing = Request::get("http://inventory/item/3").body(()).unwrap();
/// inherit(&incoming, &mut outgoing);
/// assert_eq!(outgoing.extensions().get(), Some(&deadline));
/// assert_eq!(outgoing.headers()[ATTEMPT_HEADER], "1");
/// ```
pub fn inherit(incoming: &impl RequestHead, outgoing: &mut impl RequestHead) {
    if let Some(deadline) = incoming.extensions().get::<Deadline>() {
        context::shorten(outgoing.extensions_mut(), *deadline);
    }
    if let Some(priority) = incoming.extensions().get::<Priority>() {
        outgoing.extensions_mut().get_or_insert(*priority);
    }
    if context::is_retry(incoming.headers(), incoming.extensions()) {
        context::stamp(outgoing, Mark::Retry(1));
    }
}

/// A request, or the head of one, between which [`inherit`] carries things.
///
/// Implemented here for those of `http` and, with the feature `tonic`, for tonic's; by nobody else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no request that a deadline can be read from or written to",
    note = "an `http::Request`, `http::request::Parts` and, with the feature `tonic` of buttress-http, a `tonic::Request` are"
)]
pub trait RequestHead: sealed::Parts {}

pub(crate) mod sealed {
    use super::{Extensions, HeaderMap};

    /// What requests of different makers have in common.
    #[expect(unnameable_types, reason = "what nobody can name, nobody implements")]
    pub trait Parts {
        fn headers(&self) -> &HeaderMap;
        fn headers_mut(&mut self) -> &mut HeaderMap;
        fn extensions(&self) -> &Extensions;
        fn extensions_mut(&mut self) -> &mut Extensions;
    }
}

impl<B> RequestHead for Request<B> {}

impl<B> sealed::Parts for Request<B> {
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
}

impl RequestHead for Parts {}

impl sealed::Parts for Parts {
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}

#[cfg(feature = "tonic")]
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
impl<T> RequestHead for tonic::Request<T> {}

#[cfg(feature = "tonic")]
impl<T> sealed::Parts for tonic::Request<T> {
    fn headers(&self) -> &HeaderMap {
        self.metadata().as_ref()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.metadata_mut().as_mut()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
}

#[cfg(test)]
mod tests;
