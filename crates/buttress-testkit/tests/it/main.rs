//! The kit, tried on layers that keep the contract and on one that breaks it in every way.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]

mod contract;
mod hammer;
mod limit;
mod matrix;
mod probe;
mod scenario;
mod towers;
