//! What the compiler says of the commonest mistakes.
//!
//! Texts differ from compiler to compiler, so they are compared on one only, the one that `ui/TOOLCHAIN` names. That the mistakes
//! do not compile, and their cures do, is tested on every toolchain by the doctests of this package.

use std::process::Command;

const EXPECTED: &str = include_str!("../ui/TOOLCHAIN");

/// The version of the compiler, as `rustc --version` has it: `1.95.0`.
fn toolchain() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    told.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn the_commonest_mistakes_are_explained() {
    let (toolchain, expected) = (toolchain(), EXPECTED.trim());
    if toolchain == expected {
        trybuild::TestCases::new().compile_fail("ui/*.rs");
    } else {
        println!("texts not compared: this is rustc {toolchain}, they are of {expected}");
    }
}
