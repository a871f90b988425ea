use std::time::Duration;

use buttress_core::{Deadline, Name, Reason, Rejected};
use http::{HeaderMap, Request};
use tokio::time::Instant;

use crate::context;
use crate::timeout_header::{grpc_timeout, request_timeout};

/// Who refuses a request whose caller has gone before it arrived.
const NAME: Name = Name::new("deadline");

/// From which headers a request that arrives gets its deadline.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival {
    grpc: bool,
    http: bool,
}

impl Arrival {
    /// From none.
    pub(crate) const NOTHING: Self = Self {
        grpc: false,
        http: false,
    };

    /// From `grpc-timeout`, as every gRPC server has it.
    pub(crate) const GRPC: Self = Self {
        grpc: true,
        http: false,
    };

    /// From `x-request-timeout` too.
    pub(crate) const fn trusting_http(self) -> Self {
        Self { http: true, ..self }
    }

    /// Puts the deadline into the request's extensions, or refuses the request when that has passed.
    ///
    /// An earlier one that is there stays. The clock is read only for a request that says something.
    #[inline]
    pub(crate) fn admit<B>(self, request: &mut Request<B>) -> Option<Rejected> {
        let timeout = self.timeout(request.headers())?;
        if timeout.is_zero() {
            return Some(Rejected::new(Reason::DeadlineExceeded, NAME));
        }
        // Whoever sent it ends a stream himself, if that was meant: his own timeout may be one that spares streams.
        let deadline = Deadline::after(Instant::now(), timeout).sparing_streams();
        context::shorten(request.extensions_mut(), deadline);
        None
    }

    #[inline]
    fn timeout(self, headers: &HeaderMap) -> Option<Duration> {
        let grpc = self.grpc.then(|| grpc_timeout(headers)).flatten();
        let http = self.http.then(|| request_timeout(headers)).flatten();
        grpc.into_iter().chain(http).min()
    }
}

#[cfg(test)]
mod tests;
