//! tonic's server and client over loopback, with the health service as its users know it.

mod client;
pub(crate) mod health;
mod queue;
mod rates;
mod server;
