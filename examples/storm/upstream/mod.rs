//! The services behind the gateways: real processes, children of storm.

use http::HeaderMap;

pub mod behaviour;
pub mod process;
pub mod server;

/// The header that carries the number of a call, from which upstreams draw their decisions.
pub const CALL_HEADER: &str = "x-call";

/// The header by which an upstream knows how many attempts of the same call were sent before.
pub const ATTEMPT_HEADER: &str = "x-attempt";

/// The header by which an answer of an upstream is told from one that a gateway made itself.
pub const UPSTREAM_HEADER: &str = "x-upstream";

/// The first argument that turns storm into one of its upstreams.
pub const COMMAND: &str = "upstream";

/// The number in a header, if there is one.
pub fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
