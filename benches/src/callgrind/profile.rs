//! Reads a profile in callgrind's format.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use crate::figures::Counts;

/// The functions of libc that hand out memory.
const ALLOCATING: [&str; 6] = [
    "malloc",
    "calloc",
    "realloc",
    "memalign",
    "aligned_alloc",
    "posix_memalign",
];

/// The totals of `profile`, and how often it read the clock and allocated.
pub(super) fn read(profile: &str) -> Result<Counts> {
    let totals = totals(profile)?;
    let total = |event| {
        totals
            .get(event)
            .copied()
            .with_context(|| format!("no event {event}"))
    };
    let instructions = total("Ir")?;
    ensure!(
        instructions > 0,
        "callgrind counted nothing: the measured function was not found"
    );
    let calls = calls(profile);
    let of = |name: &str| calls.get(name).copied().unwrap_or(0);
    Ok(Counts {
        instructions,
        locked: total("Ge")?,
        clock_reads: of("clock_gettime"),
        allocations: ALLOCATING.into_iter().map(of).sum(),
    })
}

/// The total of each event.
fn totals(profile: &str) -> Result<HashMap<&str, u64>> {
    let field = |name: &str| {
        let value = profile.lines().find_map(|line| line.strip_prefix(name));
        value.with_context(|| format!("no line '{name}' in callgrind's profile"))
    };
    let events = field("events:")?.split_whitespace();
    let totals = field("totals:")?.split_whitespace().map(str::parse);
    // Trailing zeros are left out of the file.
    let totals = totals
        .collect::<Result<Vec<u64>, _>>()?
        .into_iter()
        .chain(std::iter::repeat(0));
    Ok(events.zip(totals).collect())
}

/// How often each function was called.
fn calls(profile: &str) -> HashMap<&str, u64> {
    let mut names = HashMap::new();
    let mut calls = HashMap::new();
    let mut callee = "";
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("cfn=") {
            callee = name(function, &mut names);
        } else if let Some(function) = line.strip_prefix("fn=") {
            name(function, &mut names);
        } else if let Some(times) = line.strip_prefix("calls=") {
            let times = times
                .split_whitespace()
                .next()
                .and_then(|times| times.parse().ok());
            *calls.entry(callee).or_default() += times.unwrap_or(0);
        }
    }
    calls
}

/// The name in `(id) name`, remembered for when only `(id)` stands there; without a symbol's version.
fn name<'a>(function: &'a str, names: &mut HashMap<&'a str, &'a str>) -> &'a str {
    let (id, name) = function.split_once(' ').unwrap_or((function, ""));
    if name.is_empty() {
        return names.get(id).copied().unwrap_or(id);
    }
    let name = name.split('@').next().unwrap_or(name);
    names.insert(id, name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
# callgrind format
events: Ir Ge

fl=(1) src/lib.rs
fn=(7) benches::work
10 40
cfn=(9) clock_gettime@@GLIBC_2.17
calls=3 0
* 120
cfn=(11) malloc
calls=2 0
* 80 1

fn=(9)
0 120
cfn=(11)
calls=5 0
* 5
cfn=(12) malloc_consolidate
calls=4 0
* 5

totals: 250 6
";

    #[test]
    fn totals_and_calls_are_read() {
        let expected = Counts {
            instructions: 250,
            locked: 6,
            clock_reads: 3,
            allocations: 7,
        };
        assert_eq!(read(PROFILE).unwrap(), expected);
    }

    #[test]
    fn a_zero_left_out_of_the_totals_is_a_zero() {
        let profile = PROFILE.replace("totals: 250 6", "totals: 250");
        assert_eq!(read(&profile).unwrap().locked, 0);
    }

    #[test]
    fn a_profile_that_counted_nothing_is_an_error() {
        let profile = PROFILE.replace("totals: 250 6", "totals: 0 0");
        let error = read(&profile).unwrap_err().to_string();
        assert!(
            error.contains("the measured function was not found"),
            "{error}"
        );
    }

    #[test]
    fn a_profile_without_its_totals_is_an_error() {
        let profile = PROFILE.replace("totals:", "summary:");
        assert!(read(&profile).unwrap_err().to_string().contains("totals:"));
    }

    #[test]
    fn a_profile_without_bus_events_is_an_error() {
        let profile = PROFILE.replace("Ir Ge", "Ir");
        assert!(
            read(&profile)
                .unwrap_err()
                .to_string()
                .contains("no event Ge")
        );
    }
}
