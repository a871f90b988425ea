//! Runs a case under valgrind's callgrind and reads what it counted.
//!
//! Callgrind switches counting on and off around one function; the program runs itself again for each case, and that run
//! makes its calls inside the function. Two runs, of `n` and `2n` calls, are subtracted, so that the runtime's start and
//! everything else that happens once cancels out.

mod profile;

use std::ffi::OsString;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::cases::Case;
use crate::figures::{Counts, Figures};
use crate::inner::Inner;
use crate::runtime;

/// The sub-command with which a program runs itself for one case.
pub const SUBCOMMAND: &str = "case";

/// Matches [`counted_by_callgrind`] and no other symbol, however names are mangled.
const COUNTED: &str = "*counted_by_callgrind*";

/// Where the profiles stay, for `callgrind_annotate`.
const PROFILES: &str = "target/bench/callgrind";

/// Whether valgrind can be started.
pub fn is_installed() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// What one call of `case` costs, its bare service included.
pub fn measure(case: &Case) -> Result<Figures> {
    let short = count(case, case.calls).with_context(|| format!("{case}"))?;
    let long = count(case, 2 * case.calls).with_context(|| format!("{case}"))?;
    Ok(Figures::per_call(short, long, case.calls))
}

/// Makes the calls of `case` inside the function that callgrind counts.
pub fn run(case: &Case, calls: u64) {
    let runtime = runtime::single();
    let mut subject = runtime.block_on(async { case.build(Inner::Prompt) });
    runtime.block_on(subject.warm_up(case.warm_up));
    counted_by_callgrind(&mut || runtime.block_on(subject.run(calls)));
}

#[inline(never)]
fn counted_by_callgrind(body: &mut dyn FnMut()) {
    body();
    // Keeps the call above from becoming a jump, which would leave this function before the counting is done.
    black_box(());
}

fn count(case: &Case, calls: u64) -> Result<Counts> {
    fs::create_dir_all(PROFILES)?;
    let profile = profile_path(case, calls);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-bus=yes", "--quiet"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(out_file(&profile))
        .arg(env::current_exe()?)
        .args([SUBCOMMAND, case.who, case.path, &calls.to_string()])
        .output()
        .context("valgrind does not start")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    profile::read(&fs::read_to_string(&profile)?)
}

fn out_file(profile: &Path) -> OsString {
    let mut argument = OsString::from("--callgrind-out-file=");
    argument.push(profile);
    argument
}

fn profile_path(case: &Case, calls: u64) -> PathBuf {
    let name: String = format!("{case}")
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    Path::new(PROFILES).join(format!("{name}.{calls}"))
}
