//! tonic's server and client over loopback, with the health service as its users know it.

mod client;
mod fallback;
pub(crate) mod health;
mod queue;
mod rates;
mod server;
