use std::collections::BTreeSet;

use super::*;
use crate::cases::{self, OURS};

const ROW: &str = r#"
[[row]]
path = "a path"
goal = { instructions = 60, locked = 3, clock_reads = 0 }
"#;

fn row(extra: &str) -> Result<Row> {
    parse(&format!("{ROW}{extra}")).map(|mut rows| rows.remove(0))
}

fn refusal(extra: &str) -> String {
    row(extra).unwrap_err().to_string()
}

fn figures(instructions: f64, locked: f64) -> Figures {
    Figures {
        instructions,
        locked,
        ..Figures::default()
    }
}

#[test]
fn every_case_of_ours_has_a_goal_and_every_goal_a_case() {
    let rows = parse(GOALS).unwrap();
    let goals: BTreeSet<_> = rows.iter().map(|row| row.path.as_str()).collect();
    let cases: BTreeSet<_> = cases::all()
        .iter()
        .filter(|case| case.who == OURS)
        .map(|case| case.path)
        .collect();
    assert_eq!(goals, cases);
    assert_eq!(goals.len(), rows.len(), "a path stands twice");
}

#[test]
fn figures_at_their_goal_meet_it() {
    assert_eq!(row("").unwrap().judge(figures(60.0, 3.0)), []);
}

#[test]
fn each_figure_above_its_goal_is_named() {
    let above = Figures {
        instructions: 61.0,
        locked: 3.01,
        clock_reads: 1.0,
        allocations: 1.0,
    };
    let shortfalls = row("").unwrap().judge(above);
    let named: Vec<_> = shortfalls.iter().map(|shortfall| shortfall.what).collect();
    assert_eq!(
        named,
        [
            "instructions",
            "locked instructions",
            "clock reads",
            "allocations"
        ]
    );
    let first = shortfalls[0].to_string();
    assert_eq!(
        first,
        "a path: 61 instructions per call, at most 60 are accepted"
    );
}

#[test]
fn an_accepted_figure_stands_in_for_its_goal_alone() {
    let row = row(r#"accepted = { instructions = 72, reason = "counters" }"#).unwrap();
    assert_eq!(row.judge(figures(72.0, 3.0)), []);
    let named: Vec<_> = row
        .judge(figures(73.0, 4.0))
        .iter()
        .map(|miss| miss.limit)
        .collect();
    assert_eq!(named, [72.0, 3.0]);
}

#[test]
fn accepting_needs_a_reason() {
    assert!(
        refusal(r#"accepted = { instructions = 61, reason = " " }"#).contains("without a reason")
    );
    assert!(refusal("accepted = { instructions = 61 }").contains("reason"));
}

#[test]
fn accepting_has_an_end() {
    assert!(row(r#"accepted = { instructions = 90, reason = "r" }"#).is_ok());
    assert!(refusal(r#"accepted = { instructions = 91, reason = "r" }"#).contains("1.5 times"));
    assert!(refusal(r#"accepted = { locked = 5, reason = "r" }"#).contains("1.5 times"));
}

#[test]
fn what_lies_beyond_the_end_is_called_missed() {
    let row = row(r#"accepted = { instructions = 91, missed = true, reason = "r" }"#).unwrap();
    assert!((row.limit().instructions - 91.0).abs() < f64::EPSILON);
}

#[test]
fn an_allocation_cannot_be_accepted() {
    let error = refusal(r#"accepted = { allocations = 1, reason = "r" }"#);
    assert!(error.contains("unknown field `allocations`"), "{error}");
}

#[test]
fn an_error_is_one_line_that_says_where() {
    let error = parse("[[row]]\npath = \"a\"\ngoal = 3\n")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("goals.toml, line 3: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}
