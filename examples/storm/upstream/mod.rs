//! The services behind the gateways: real processes, children of storm.

pub mod behaviour;
pub mod process;
pub mod server;

/// The header that carries the number of a call, from which upstreams draw their decisions.
pub const CALL_HEADER: &str = "x-call";

/// The header by which an answer of an upstream is told from one that a gateway made itself.
pub const UPSTREAM_HEADER: &str = "x-upstream";

/// The first argument that turns storm into one of its upstreams.
pub const COMMAND: &str = "upstream";
