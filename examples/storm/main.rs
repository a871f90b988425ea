//! Puts two gateways side by side through the same storm: one protected by buttress, one bare.
//!
//! Everything is real: upstreams are child processes, gateways are axum servers with hyper clients,
//! and an open-loop generator drives both with the same calls at the same instants.

use std::path::Path;
use std::process::ExitCode;

mod attempts;
mod breakers;
mod chance;
mod clients;
mod clock;
mod figures;
mod gateway;
mod judge;
mod levels;
mod load;
mod options;
mod report;
mod run;
mod schedule;
mod screen;
mod script;
mod stage;
mod text;
mod timeouts;
mod upstream;
mod watch;

use options::{Command, Options};
use report::Outcome;
use screen::table::Table;

/// Where the reports go, below the current directory.
const FOLDER: &str = "target/storm";

fn main() -> ExitCode {
    let done = match options::parse(std::env::args_os()) {
        Ok(Command::Storm(options)) => storm(&options),
        Ok(Command::Upstream(options)) => {
            upstream::server::serve(options).map(|()| ExitCode::SUCCESS)
        }
        Ok(Command::Help(text)) => {
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Err(line) => Err(anyhow::Error::msg(line)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("storm: {error:#}");
        ExitCode::from(2)
    })
}

/// Runs, prints the closing table, writes the reports, and says by its code whether a bound broke.
fn storm(options: &Options) -> anyhow::Result<ExitCode> {
    let report = run::storm(options)?;
    println!("{}", Table(&report));
    report.write(Path::new(FOLDER))?;
    println!("Reports: {FOLDER}/report.html, {FOLDER}/report.json");
    Ok(match report.result {
        Outcome::Held => ExitCode::SUCCESS,
        Outcome::Broken => ExitCode::from(1),
    })
}
