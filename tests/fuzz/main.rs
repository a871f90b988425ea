//! Fuzz targets: plain functions of some bytes that panic when a promise is broken.
//!
//! `cargo test` drives each with inputs that a seeded generator makes from the grammar of what it reads, then mutates; any fuzzer
//! can drive the same functions.

mod forwarded;
mod hints;
mod mutation;
mod timeouts;

use buttress_testkit::{deep, seed};

use crate::mutation::Chance;

/// Drives a target with what a generator makes.
fn drive(target: fn(&[u8]), generate: impl Fn(&mut Chance) -> Vec<u8>) {
    let mut chance = Chance::new(seed());
    for _ in 0..deep(20_000, 1_000_000) {
        let mut input = generate(&mut chance);
        if chance.below(2) == 0 {
            chance.mutate(&mut input);
        }
        target(&input);
    }
}

// proves: RB-7
#[test]
fn no_header_makes_a_wait_that_was_not_meant() {
    drive(hints::target, hints::generate);
}

#[test]
fn no_header_makes_a_deadline_that_was_not_meant() {
    drive(timeouts::target, timeouts::generate);
}

// proves: S-1
#[test]
fn no_header_makes_a_client_that_no_proxy_of_ours_has_seen() {
    drive(forwarded::target, forwarded::generate);
}
