//! Three model providers behind one chain: `cargo run --release -p examples --bin models`.
//!
//! The providers are fakes on loopback that stream as real ones do. One that refuses, is overloaded, or fails before its first word is
//! replaced, and the caller never knows; one that fails after its first word is not, for half of an answer was given already.

mod chain;
mod provider;

use anyhow::Result;

use self::chain::Models;
use self::provider::{Provider, Says};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let providers = [
        Provider::start("alpha").await?,
        Provider::start("beta").await?,
        Provider::start("gamma").await?,
    ];
    let models = Models::new(&providers);
    for (what, says) in [
        ("alpha is well", [Says::Words, Says::Words]),
        (
            "alpha has no quota left (429)",
            [Says::NoQuota, Says::Words],
        ),
        ("alpha is overloaded (529)", [Says::Overloaded, Says::Words]),
        (
            "alpha says 200, and then that it is overloaded",
            [Says::ErrorFirst, Says::Words],
        ),
        (
            "alpha's connection breaks before its first word",
            [Says::BreaksFirst, Says::Words],
        ),
        (
            "and beta is overloaded, too",
            [Says::BreaksFirst, Says::Overloaded],
        ),
        (
            "alpha breaks after its first word",
            [Says::BreaksLater, Says::Words],
        ),
    ] {
        for (provider, says) in providers.iter().zip(says) {
            provider.now(says);
        }
        let answer = models.ask("why is the sky blue?").await?;
        let end = if answer.whole {
            ""
        } else {
            " … and breaks off"
        };
        println!("{what}\n  {}: {}{end}\n", answer.level, answer.text);
    }
    for level in models.snapshot().levels {
        println!(
            "{}: answered {}, in vain {}",
            level.level, level.served, level.failed
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
