//! `cargo run --release -p benches --features peers --bin icount`: what a call costs, counted to the instruction.
//!
//! Prints one table, writes `target/bench/icount.json`, and fails when one of ours costs more than `goals.toml` accepts.

use std::collections::HashMap;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{env, fs, thread};

use anyhow::{Context, Result, bail};
use benches::callgrind::{self, SUBCOMMAND};
use benches::cases::{self, Base};
use benches::figures::Figures;
use benches::goals::{self, GOALS};
use benches::report::{Measured, Report};

const JSON: &str = "target/bench/icount.json";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => count_all(),
        [SUBCOMMAND, who, path, calls] => run_case(who, path, calls),
        _ => {
            eprintln!("icount takes no arguments");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("icount: {error:#}");
        ExitCode::FAILURE
    })
}

/// What runs under callgrind.
fn run_case(who: &str, path: &str, calls: &str) -> Result<ExitCode> {
    let case = cases::find(who, path).with_context(|| format!("no case {who}, {path}"))?;
    callgrind::run(case, calls.parse()?);
    Ok(ExitCode::SUCCESS)
}

fn count_all() -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        bail!(
            "only an optimized build can be counted: cargo run --release -p benches --bin icount"
        );
    }
    let goals = goals::parse(GOALS)?;
    if !callgrind::is_installed() {
        return without_valgrind();
    }
    let started = Instant::now();
    let report = Report::new(&over_bases(&measure_all()?)?, &goals);
    print!("{report}");
    fs::write(JSON, serde_json::to_string_pretty(&report)?)?;
    println!(
        "\n{JSON} written after {:.0} s",
        started.elapsed().as_secs_f64()
    );
    if !cfg!(feature = "peers") {
        println!(
            "the peers stand beside ours with --features peers (seatbelt asks for rustc 1.95)"
        );
    }
    Ok(judge(&report))
}

fn judge(report: &Report) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for shortfall in report.shortfalls() {
        eprintln!("above the goal: {shortfall}");
        code = ExitCode::FAILURE;
    }
    code
}

/// Allocations can be counted without valgrind, in a program whose allocator counts.
fn without_valgrind() -> Result<ExitCode> {
    eprintln!("valgrind is not installed, so instructions cannot be counted; allocations only:\n");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args([
        "run",
        "--quiet",
        "--release",
        "-p",
        "benches",
        "--bin",
        "allocations",
    ]);
    if cfg!(feature = "peers") {
        command.args(["--features", "peers"]);
    }
    let done = command.status().context("cargo does not start")?.success();
    let in_ci = env::var("CI").is_ok_and(|value| value == "true");
    Ok(if done && !in_ci {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a call of each case costs, bare service included; as many cases at a time as there are cores.
fn measure_all() -> Result<Vec<Measured>> {
    let cases = cases::all();
    eprintln!("counting {} cases under callgrind", cases.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut measured = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            measured.push(Measured {
                case,
                figures: callgrind::measure(case)?,
            });
        }
        Ok(measured)
    };
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let done: Result<Vec<Vec<Measured>>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no worker panics"))
            .collect()
    });
    let figures: HashMap<_, _> = done?
        .iter()
        .flatten()
        .map(|one| ((one.case.who, one.case.path), one.figures))
        .collect();
    Ok(cases
        .into_iter()
        .map(|case| Measured {
            case,
            figures: figures[&(case.who, case.path)],
        })
        .collect())
}

/// The same, each over its base.
fn over_bases(measured: &[Measured]) -> Result<Vec<Measured>> {
    let figures_of = |base: Base| -> Result<Figures> {
        let base = measured.iter().find(|one| one.case.is(base));
        Ok(base.context("a base is not in the table")?.figures)
    };
    measured
        .iter()
        .map(|&Measured { case, figures }| {
            let base = case.base.map_or(Ok(Figures::default()), figures_of)?;
            Ok(Measured {
                case,
                figures: figures - base,
            })
        })
        .collect()
}
