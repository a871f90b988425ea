//! The closing table: both gateways side by side, phase by phase, and what became of each bound.

use std::fmt::{self, Display, Formatter};

use crate::attempts::Attempts;
use crate::clients::Greed;
use crate::gateway::plan::Plan;
use crate::judge::{Bound, PhaseFigures, Rule, Span, Verdict};
use crate::report::{Report, greed, levels};
use crate::schedule::Phase;
use crate::stage::{Class, PerSide, Side, Upstream};
use crate::text::{amplification, duration_or_none, percent, share, wrapped};

const WIDTH: usize = 80;

/// Shows a report as text of 80 columns.
#[derive(Debug)]
pub struct Table<'a>(pub &'a Report);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_phases(f, &self.0.phases)?;
        write_levels(f, self.0)?;
        write_loads(f, self.0)?;
        write_timeouts(f, self.0)?;
        if let Some(rush) = self.0.phases.iter().find(|p| p.phase == Phase::Rush) {
            write_classes(f, rush)?;
            write_rush(f, self.0.settings.plan)?;
        }
        write_greed(f, self.0)?;
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
    let groups = ["inventory served", "inventory p99", "payments served"];
    write_head(f, ["phase", "calls"], &groups)?;
    for phase in phases {
        write_phase(f, phase)?;
    }
    Ok(())
}

/// The head of a table with a pair of columns in each group.
fn write_head(f: &mut Formatter<'_>, rows: [&str; 2], groups: &[&str]) -> fmt::Result {
    let pair = Side::ALL
        .map(|side| format!("{:>10}", side.name()))
        .concat();
    let [what, counted] = rows;
    write!(f, "\n{:20}", "")?;
    for group in groups {
        write!(f, "{group:>20}")?;
    }
    writeln!(f, "\n{what:14}{counted:>6}{}", pair.repeat(groups.len()))
}

/// Who answered the calls to payments through the protected gateway, phase by phase, and beside it
/// whom the bare one left without; and those to inventory in all.
fn write_levels(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let payments = "calls to payments, protected, answered by";
    writeln!(f, "\n{:20}{payments:>50}{:>10}", "", "bare, by")?;
    let by = ["itself", "replica", "cache", "default", "nobody", "nobody"];
    let by = by.map(|by| format!("{by:>10}")).concat();
    writeln!(f, "{:20}{by}", "of all calls")?;
    for phase in &report.phases {
        write_levels_of(
            f,
            phase.phase.name(),
            report,
            phase.phase.into(),
            Upstream::Payments,
        )?;
    }
    write_levels_of(
        f,
        Span::Outage.name(),
        report,
        Span::Outage,
        Upstream::Payments,
    )?;
    write_levels_of(f, "  inventory", report, Span::Outage, Upstream::Inventory)?;
    writeln!(f, "{}", wrapped(&levels::story(report), WIDTH))
}

fn write_levels_of(
    f: &mut Formatter<'_>,
    name: &str,
    report: &Report,
    span: Span,
    upstream: Upstream,
) -> fmt::Result {
    let of = |side| levels::answered(report, span, side, upstream).shares();
    let [.., bare] = of(Side::Bare);
    let shares = of(Side::Protected).map(|share| format!("{share:>10}"));
    writeln!(f, "{name:20}{}{bare:>10}", shares.concat())
}

/// What retries make of the calls, phase by phase and in all.
fn write_loads(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let groups = ["load on inventory", "load on payments"];
    write_head(f, ["attempts/call", ""], &groups)?;
    for phase in &report.phases {
        let attempts = |side, upstream| phase.sides.of(side).of(upstream).attempts;
        write_load(f, phase.phase.name(), attempts)?;
    }
    for (span, load) in report.load.each() {
        write_load(f, span.name(), |side, upstream| *load.of(side).of(upstream))?;
    }
    Ok(())
}

fn write_load(
    f: &mut Formatter<'_>,
    name: &str,
    attempts: impl Fn(Side, Upstream) -> Attempts,
) -> fmt::Result {
    write!(f, "{name:20}")?;
    for upstream in Upstream::ALL {
        for side in Side::ALL {
            write!(f, "{:>10}", amplification(attempts(side, upstream)))?;
        }
    }
    writeln!(f)
}

/// How long attempts of the protected gateway took, and might take at the end of each phase.
fn write_timeouts(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    write!(f, "\n{:20}", "")?;
    for upstream in Upstream::ALL {
        write!(f, "{:>30}", format!("attempts to {}", upstream.name()))?;
    }
    let columns = format!("{:>10}{:>10}{:>10}", "p95", "timeout", "cut");
    writeln!(f, "\n{:20}{}", "protected", columns.repeat(2))?;
    for phase in &report.phases {
        write!(f, "{:20}", phase.phase.name())?;
        for upstream in Upstream::ALL {
            let timed = report.timeouts.of(upstream).timed(phase.from..phase.to);
            // Of fewer than twenty it would be the slowest: those that were answered as a phase turned.
            let p95 = timed.p95.filter(|_| timed.answered >= 20);
            let (p95, timeout) = (duration_or_none(p95), duration_or_none(timed.timeout));
            let cut = percent(timed.cut, timed.all());
            write!(f, "{p95:>10}{timeout:>10}{cut:>10}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// The rush, class by class.
fn write_classes(f: &mut Formatter<'_>, rush: &PhaseFigures) -> fmt::Result {
    let groups = ["served", "p99", "of all served"];
    write_head(f, ["in the rush", "calls"], &groups)?;
    let sides = Side::ALL.map(|side| rush.classes.of(side));
    for class in Class::ALL {
        write!(f, "{:14}{:>6}", class.name(), sides[0].of(class).calls)?;
        for side in sides {
            write!(f, "{:>10}", share(side.of(class)))?;
        }
        for side in sides {
            write!(f, "{:>10}", duration_or_none(side.of(class).p99))?;
        }
        for side in sides {
            let of_all = percent(side.of(class).served, side.total().served);
            write!(f, "{of_all:>10}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

fn write_rush(f: &mut Formatter<'_>, plan: Plan) -> fmt::Result {
    let (rate, places, queue) = (plan.rush_rate, plan.capacity, plan.queue);
    writeln!(
        f,
        "{rate} calls/s came, twice what {places} places can serve; {queue} may wait."
    )
}

/// The greedy client, phase by phase and in all; nothing where it never came.
fn write_greed(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.greed.protected.calls == 0 {
        return Ok(());
    }
    let groups = ["turned away (429)", "let in", "others turned away"];
    write_head(f, ["greedy client", "calls"], &groups)?;
    for phase in report.phases.iter().filter(|p| p.phase.has_greed()) {
        write_greed_of(f, phase.phase.name(), &phase.greed)?;
    }
    write_greed_of(f, Span::Run.name(), &report.greed)?;
    writeln!(f, "{}", wrapped(&greed::story(report), WIDTH))
}

fn write_greed_of(f: &mut Formatter<'_>, name: &str, greed: &PerSide<Greed>) -> fmt::Result {
    write!(f, "{name:14}{:>6}", greed.protected.calls)?;
    let columns: [fn(&Greed) -> String; 3] = [
        greed::turned_away,
        |greed| greed.let_in().to_string(),
        |greed| greed.others_limited.to_string(),
    ];
    for column in columns {
        for side in Side::ALL {
            write!(f, "{:>10}", column(greed.of(side)))?;
        }
    }
    writeln!(f)
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
        write!(f, "{:>10}", duration_or_none(side.inventory.p99))?;
    }
    for side in sides {
        write!(f, "{:>10}", share(&side.payments))?;
    }
    writeln!(f)
}

/// One line for the phases in which a rule came to the same end.
fn write_bounds(f: &mut Formatter<'_>, bounds: &[Bound]) -> fmt::Result {
    for group in
        bounds.chunk_by(|a, b| a.rule == b.rule && a.limit == b.limit && a.verdict == b.verdict)
    {
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
        span,
        limit,
        protected,
        bare,
        verdict,
    } = first;
    let span = span.name();
    let (word, reason) = match verdict {
        Verdict::Held => ("held", String::new()),
        Verdict::Broken => ("BROKEN", String::new()),
        Verdict::NotJudged(reason) => ("not judged", format!(": {reason}")),
    };
    write!(f, "{word:11} {} {limit}{reason}", rule.name())?;
    match (rule, verdict) {
        (_, Verdict::NotJudged(_)) => writeln!(f),
        (Rule::Share | Rule::Latency, Verdict::Held) => writeln!(f, ", {}", phases(group)),
        (Rule::GreedyLetIn, Verdict::Held) if group.len() > 1 => writeln!(f, ", {}", phases(group)),
        (Rule::Share | Rule::Latency | Rule::GreedyLetIn | Rule::FailOver, _) => {
            writeln!(f, ", {}", measured(group))
        }
        (Rule::Control | Rule::LoadControl, _) => writeln!(f, ": {bare}"),
        (Rule::Recovery, _) => writeln!(f, ": {protected} (bare: {bare})"),
        (Rule::InventoryLoad | Rule::PaymentsLoad | Rule::OthersLimited | Rule::Unanswered, _) => {
            writeln!(f, ", {span}: {protected} (bare: {bare})")
        }
        _ => writeln!(f, " in the rush: {protected} (bare: {bare})"),
    }
}

fn phases(group: &[Bound]) -> String {
    let names: Vec<_> = group.iter().map(|bound| bound.span.name()).collect();
    match names.len() {
        6 => "in every phase before the rush".into(),
        _ => format!("in {}", names.join(", ")),
    }
}

fn measured(group: &[Bound]) -> String {
    let each = group.iter().map(|bound| {
        format!(
            "{}: {} (bare: {})",
            bound.span.name(),
            bound.protected,
            bound.bare
        )
    });
    each.collect::<Vec<_>>().join("; ")
}
