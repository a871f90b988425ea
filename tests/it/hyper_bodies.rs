//! When a call is over whose answer goes through a real hyper server and a real hyper client: its slot is free, and it is
//! counted, as its body deserves.

mod client;
mod server;
mod streams;
