//! The map through its public face.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]

mod flood;
mod handles;
mod memory;
mod owners;
mod threads;
