//! What an error that is no answer says: the same for HTTP and gRPC.

use std::error::Error;
use std::io;

use buttress_core::{Again, Reason, Rejectable, Verdict};

/// Our own refusals say what their reason says; whatever else stops a call from being answered is a failure.
#[cold]
pub(crate) fn verdict<E: Rejectable>(error: &E) -> Verdict {
    error
        .rejection()
        .map_or(Verdict::Failure, |rejected| rejected.reason().verdict())
}

#[cold]
pub(crate) fn again<E: Rejectable>(error: &E) -> Again {
    match error.rejection() {
        // A timeout may have stood around nothing but the making of the connection. Any other refusal is final, wherever it stands.
        Some(rejected) if rejected.reason() != Reason::TimedOut => rejected.reason().again(),
        _ if error.chain().is_some_and(was_never_sent) => Again::NotSent,
        Some(rejected) => rejected.reason().again(),
        None => Again::Yes,
    }
}

/// How deep a chain of sources is followed. Real chains have a handful of links; a cyclic one must end.
const DEEPEST_SOURCE: usize = 64;

/// Whether some link of the chain says that no byte of the request has reached its handler.
fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    let mut link = Some(error);
    for _ in 0..DEEPEST_SOURCE {
        let Some(error) = link else { return false };
        if no_connection(error) || refused_unread(error) {
            return true;
        }
        link = next(error);
    }
    false
}

/// An I/O error names the source of what it wraps, and skips the wrapped error itself.
fn next<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    wrapped.map_or_else(
        || error.source(),
        |wrapped| Some(wrapped as &'a (dyn Error + 'static)),
    )
}

/// Whether a connection could not be made. Of the kinds of an I/O error, these two cannot come from one that was.
fn no_connection(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused};

    #[cfg(feature = "hyper-util")]
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect();
    }
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| matches!(error.kind(), ConnectionRefused | AddrNotAvailable))
}

/// Whether the other side of an HTTP/2 connection refused the stream, which promises that it did nothing with it.
#[cfg(feature = "h2")]
fn refused_unread(error: &(dyn Error + 'static)) -> bool {
    let refused = Some(h2::Reason::REFUSED_STREAM);
    error
        .downcast_ref::<h2::Error>()
        .is_some_and(|error| error.is_remote() && error.reason() == refused)
}

#[cfg(not(feature = "h2"))]
fn refused_unread(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(test)]
mod tests;
