//! The closing table: both gateways side by side, phase by phase, and what became of each bound.

use std::fmt::{self, Display, Formatter};

use crate::judge::{Bound, PhaseFigures, Rule, Verdict};
use crate::report::Report;
use crate::text::{duration, share, wrapped};

const WIDTH: usize = 80;

/// Shows a report as text of 80 columns.
#[derive(Debug)]
pub struct Table<'a>(pub &'a Report);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_phases(f, &self.0.phases)?;
        writeln!(f)?;
        write_bounds(f, &self.0.bounds)?;
        writeln!(
            f,
            "\nThe generator was at most {} late for 99 of 100 calls.",
            self.0.lateness()
        )?;
        write!(f, "{}", wrapped(&self.0.headline, WIDTH))
    }
}

fn write_phases(f: &mut Formatter<'_>, phases: &[PhaseFigures]) -> fmt::Result {
    let pair = ["protected", "bare"]
        .map(|side| format!("{side:>10}"))
        .concat();
    let groups = ["inventory served", "inventory p99", "payments served"];
    let groups = groups.map(|group| format!("{group:>20}")).concat();
    writeln!(f, "\n{:20}{groups}", "")?;
    writeln!(f, "{:14}{:>6}{}", "phase", "calls", pair.repeat(3))?;
    for phase in phases {
        write_phase(f, phase)?;
    }
    Ok(())
}

fn write_phase(f: &mut Formatter<'_>, phase: &PhaseFigures) -> fmt::Result {
    let sides = [&phase.sides.protected, &phase.sides.bare];
    let calls = sides[0].inventory.calls + sides[0].payments.calls;
    let cut = if phase.over { "" } else { " (cut)" };
    write!(f, "{:14}{calls:>6}", format!("{}{cut}", phase.phase.name()))?;
    for side in sides {
        write!(f, "{:>10}", share(&side.inventory))?;
    }
    for side in sides {
        write!(
            f,
            "{:>10}",
            side.inventory.p99.map_or_else(|| "–".into(), duration)
        )?;
    }
    for side in sides {
        write!(f, "{:>10}", share(&side.payments))?;
    }
    writeln!(f)
}

/// One line for the phases in which a rule came to the same end.
fn write_bounds(f: &mut Formatter<'_>, bounds: &[Bound]) -> fmt::Result {
    for group in bounds.chunk_by(|a, b| a.rule == b.rule && a.verdict == b.verdict) {
        write_group(f, group)?;
    }
    Ok(())
}

fn write_group(f: &mut Formatter<'_>, group: &[Bound]) -> fmt::Result {
    let Some(first) = group.first() else {
        return Ok(());
    };
    let Bound {
        rule,
        limit,
        protected,
        bare,
        verdict,
        ..
    } = first;
    let (word, reason) = match verdict {
        Verdict::Held => ("held", String::new()),
        Verdict::Broken => ("BROKEN", String::new()),
        Verdict::NotJudged(reason) => ("not judged", format!(": {reason}")),
    };
    write!(f, "{word:11} {} {limit}{reason}", rule.name())?;
    match (rule, verdict) {
        (_, Verdict::NotJudged(_)) => writeln!(f),
        (Rule::Share | Rule::Latency, Verdict::Held) => writeln!(f, ", {}", phases(group)),
        (Rule::Control, _) => writeln!(f, ": {bare}"),
        (Rule::Recovery, _) => writeln!(f, ": {protected} (bare: {bare})"),
        _ => writeln!(f, ", {}", measured(group)),
    }
}

fn phases(group: &[Bound]) -> String {
    let names: Vec<_> = group.iter().map(|bound| bound.phase.name()).collect();
    match names.len() {
        6 => "in every phase".into(),
        _ => format!("in {}", names.join(", ")),
    }
}

fn measured(group: &[Bound]) -> String {
    let each = group.iter().map(|bound| {
        format!(
            "{}: {} (bare: {})",
            bound.phase.name(),
            bound.protected,
            bound.bare
        )
    });
    each.collect::<Vec<_>>().join("; ")
}
