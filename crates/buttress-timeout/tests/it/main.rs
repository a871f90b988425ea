//! The public face of timeouts, on paused time.

mod adaptation;
