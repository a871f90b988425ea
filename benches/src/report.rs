//! The table and the JSON of `icount`.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::cases::{Case, OURS};
use crate::figures::Figures;
use crate::goals::{Goal, Row, Shortfall};

/// What was measured of one case: over its base, or by itself for a bare service.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The case.
    pub case: &'static Case,
    /// What a call of it costs.
    pub figures: Figures,
}

/// Everything measured, path by path.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What the figures mean.
    unit: &'static str,
    /// The paths, in the order of the table of cases.
    rows: Vec<ReportRow>,
}

#[derive(Debug, Serialize)]
struct ReportRow {
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<Goal>,
    #[serde(skip)]
    missed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    costs: Vec<Cost>,
    #[serde(skip)]
    shortfalls: Vec<Shortfall>,
}

#[derive(Debug, Serialize)]
struct Cost {
    who: &'static str,
    #[serde(flatten)]
    figures: Figures,
}

impl Report {
    /// Puts what was measured beside the goals.
    pub fn new(measured: &[Measured], goals: &[Row]) -> Self {
        let unit = "per call, added to the bare service; bare services by themselves";
        let mut rows: Vec<ReportRow> = Vec::new();
        for &Measured { case, figures } in measured {
            let cost = Cost {
                who: case.who,
                figures,
            };
            match rows.iter_mut().find(|row| row.path == case.path) {
                Some(row) => row.costs.push(cost),
                None => rows.push(ReportRow::new(case.path, cost, goals)),
            }
        }
        for row in &mut rows {
            row.judge(goals);
        }
        Self { unit, rows }
    }

    /// Every figure of ours above what is accepted.
    pub fn shortfalls(&self) -> impl Iterator<Item = &Shortfall> {
        self.rows.iter().flat_map(|row| &row.shortfalls)
    }
}

impl ReportRow {
    fn new(path: &'static str, cost: Cost, goals: &[Row]) -> Self {
        let row = goals.iter().find(|row| row.path == path);
        let accepted = row.and_then(|row| row.accepted.as_ref());
        Self {
            path,
            goal: row.map(|row| row.goal),
            accepted: row.filter(|_| accepted.is_some()).map(Row::limit),
            missed: accepted.is_some_and(|accepted| accepted.missed),
            reason: accepted.map(|accepted| accepted.reason.clone()),
            costs: vec![cost],
            shortfalls: Vec::new(),
        }
    }

    fn judge(&mut self, goals: &[Row]) {
        let ours = self.costs.iter().find(|cost| cost.who == OURS);
        let goal = goals.iter().find(|row| row.path == self.path);
        if let (Some(ours), Some(goal)) = (ours, goal) {
            self.shortfalls = goal.judge(ours.figures);
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.shortfalls.is_empty(), &self.accepted) {
            (false, _) => "ABOVE",
            (true, Some(_)) if self.missed => "MISSED, held",
            (true, Some(_)) => "accepted",
            (true, None) => "met",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["instructions", "locked", "clock reads", "allocations"];
        write_line(f, "per call, over the bare service", columns, "")?;
        for row in &self.rows {
            writeln!(f, "\n{}", row.path)?;
            for cost in &row.costs {
                let remark = if cost.who == OURS { row.verdict() } else { "" };
                write_line(f, &format!("  {}", cost.who), cells(cost.figures), remark)?;
            }
            if let Some(goal) = row.goal {
                write_line(f, "  goal, at most", goal_cells(goal), "")?;
            }
            if let (Some(accepted), Some(reason)) = (row.accepted, &row.reason) {
                write_line(f, "  accepted", goal_cells(accepted), "")?;
                writeln!(f, "    {reason}")?;
            }
        }
        Ok(())
    }
}

fn write_line<C: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    label: &str,
    cells: [C; 4],
    remark: &str,
) -> fmt::Result {
    let mut line = format!("{label:<32}");
    for cell in cells {
        write!(line, "{cell:>13}")?;
    }
    write!(line, "  {remark}")?;
    writeln!(f, "{}", line.trim_end())
}

fn cells(figures: Figures) -> [f64; 4] {
    [
        figures.instructions,
        figures.locked,
        figures.clock_reads,
        figures.allocations,
    ]
}

fn goal_cells(goal: Goal) -> [f64; 4] {
    [
        goal.instructions,
        goal.locked,
        goal.clock_reads,
        goal.allocations,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::goals;

    const PATH: &str = "bulkhead free";

    fn report(instructions: f64, extra: &str) -> Report {
        let goals = format!(
            "[[row]]\npath = '{PATH}'\n\
             goal = {{ instructions = 60, locked = 5, clock_reads = 0 }}\n{extra}"
        );
        let bare = cases::find(cases::BARE, cases::SUCCEEDS.path).unwrap();
        let ours = cases::find(OURS, PATH).unwrap();
        let measured = [(bare, 29.0), (ours, instructions)].map(|(case, instructions)| Measured {
            case,
            figures: Figures {
                instructions,
                locked: 5.0,
                ..Figures::default()
            },
        });
        Report::new(&measured, &goals::parse(&goals).unwrap())
    }

    fn line(report: &Report, who: &str) -> String {
        let table = report.to_string();
        let line = table
            .lines()
            .find(|line| line.trim_start().starts_with(who))
            .unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_figure_at_its_goal_is_met() {
        let report = report(60.0, "");
        assert_eq!(line(&report, OURS), "buttress 60 5 0 0 met");
        assert_eq!(line(&report, "goal, at most"), "goal, at most 60 5 0 0");
        assert_eq!(report.shortfalls().count(), 0);
    }

    #[test]
    fn a_figure_above_its_goal_is_said_to_be() {
        let report = report(61.0, "");
        assert_eq!(line(&report, OURS), "buttress 61 5 0 0 ABOVE");
        let named: Vec<_> = report
            .shortfalls()
            .map(|shortfall| &*shortfall.path)
            .collect();
        assert_eq!(named, [PATH]);
    }

    #[test]
    fn a_figure_above_its_goal_may_be_accepted_and_the_reason_stands_below() {
        let report = report(
            61.0,
            "accepted = { instructions = 70, reason = 'counters' }",
        );
        assert_eq!(line(&report, OURS), "buttress 61 5 0 0 accepted");
        assert_eq!(line(&report, "accepted"), "accepted 70 5 0 0");
        assert_eq!(line(&report, "counters"), "counters");
        assert_eq!(report.shortfalls().count(), 0);
    }

    #[test]
    fn a_path_without_a_goal_is_shown_and_not_judged() {
        assert_eq!(
            line(&report(60.0, ""), cases::BARE),
            "bare service 29 5 0 0"
        );
    }

    #[test]
    fn the_json_has_each_cost_beside_its_goal() {
        let json = serde_json::to_value(report(61.0, "")).unwrap();
        let row = &json["rows"][1];
        assert_eq!(row["path"], PATH);
        assert_eq!(row["goal"]["instructions"], 60.0);
        assert_eq!(row["costs"][0]["who"], OURS);
        assert_eq!(row["costs"][0]["instructions"], 61.0);
        assert!(row.get("accepted").is_none());
    }
}
