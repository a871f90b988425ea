//! Timeouts among other layers, over HTTP and gRPC, and over real sockets.

mod breakers;
mod connections;
mod deadlines;
mod grpc;
mod hops;
mod phases;
mod readiness;
mod script;
mod streams;

use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
