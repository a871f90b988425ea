//! The goals of `goals.toml`, and whether figures meet them.

use std::fmt;

use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use crate::figures::Figures;

/// The goals, in the order of the table.
pub const GOALS: &str = include_str!("../goals.toml");

/// How far an accepted figure may lie above its goal.
const TOLERANCE: f64 = 1.5;

/// What one reading of the clock costs by itself, in instructions: 63 in std and libc, 20 to make one word of it. A goal
/// below the price of its own readings is taken to be that price.
const CLOCK_READING: f64 = 83.0;

/// What our layer may cost on one path.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The path through the layer.
    pub path: String,
    /// What it is meant to cost.
    pub goal: Goal,
    /// What it costs at most where the goal is missed.
    pub accepted: Option<Accepted>,
}

/// What a call is meant to cost, at most.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// Instructions.
    pub instructions: f64,
    /// Instructions with a lock prefix.
    pub locked: f64,
    /// Readings of the clock.
    pub clock_reads: f64,
    /// Heap allocations.
    #[serde(default)]
    pub allocations: f64,
}

/// What stands in for a goal that is missed.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Instructions.
    pub instructions: Option<f64>,
    /// Instructions with a lock prefix.
    pub locked: Option<f64>,
    /// Readings of the clock.
    pub clock_reads: Option<f64>,
    /// Whether the goal is missed by more than the tolerance: the figure is held, and the table says so.
    #[serde(default)]
    pub missed: bool,
    /// Why.
    pub reason: String,
}

/// One figure above what is accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortfall {
    /// The path.
    pub path: String,
    /// What was counted.
    pub what: &'static str,
    /// How much of it.
    pub figure: f64,
    /// How much is accepted.
    pub limit: f64,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            what,
            figure,
            limit,
        } = self;
        write!(
            f,
            "{path}: {figure} {what} per call, at most {limit} are accepted"
        )
    }
}

/// Reads goals; an error is one line.
pub fn parse(text: &str) -> Result<Vec<Row>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        row: Vec<Row>,
    }

    let file: File = toml::from_str(text).map_err(|error| one_line(text, &error))?;
    for row in &file.row {
        row.check()?;
    }
    Ok(file.row)
}

fn one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let start = error.span().map_or(0, |span| span.start);
    let line = text
        .bytes()
        .take(start)
        .filter(|&byte| byte == b'\n')
        .count()
        + 1;
    anyhow!(
        "goals.toml, line {line}: {}",
        error.message().replace('\n', " ")
    )
}

impl Row {
    /// The goal, with what is accepted in place of what is missed.
    pub fn limit(&self) -> Goal {
        let Some(accepted) = &self.accepted else {
            return self.goal;
        };
        Goal {
            instructions: accepted.instructions.unwrap_or(self.goal.instructions),
            locked: accepted.locked.unwrap_or(self.goal.locked),
            clock_reads: accepted.clock_reads.unwrap_or(self.goal.clock_reads),
            allocations: self.goal.allocations,
        }
    }

    /// Every figure above its limit.
    pub fn judge(&self, figures: Figures) -> Vec<Shortfall> {
        let limit = self.limit();
        [
            ("instructions", figures.instructions, limit.instructions),
            ("locked instructions", figures.locked, limit.locked),
            ("clock reads", figures.clock_reads, limit.clock_reads),
            ("allocations", figures.allocations, limit.allocations),
        ]
        .into_iter()
        .filter(|&(_, figure, limit)| figure > limit)
        .map(|(what, figure, limit)| Shortfall {
            path: self.path.clone(),
            what,
            figure,
            limit,
        })
        .collect()
    }

    fn check(&self) -> Result<()> {
        let Some(accepted) = &self.accepted else {
            return Ok(());
        };
        let path = &self.path;
        ensure!(
            !accepted.reason.trim().is_empty(),
            "goals.toml: '{path}' accepts without a reason"
        );
        let (goal, limit) = (self.goal, self.limit());
        for (what, goal, limit) in [
            (
                "instructions",
                goal.instructions.max(goal.clock_reads * CLOCK_READING),
                limit.instructions,
            ),
            ("locked", goal.locked, limit.locked),
            ("clock_reads", goal.clock_reads, limit.clock_reads),
        ] {
            ensure!(
                accepted.missed || limit <= goal * TOLERANCE,
                "goals.toml: '{path}' accepts {limit} {what}, more than {TOLERANCE} times its goal of {goal}"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
