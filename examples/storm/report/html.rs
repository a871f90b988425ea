//! The page: hand-written HTML and CSS, filled with the figures of a run.

use std::fmt::Write;

use super::{Outcome, Report, chart};
use crate::figures::Figures;
use crate::judge::{Bound, PhaseFigures, Verdict};
use crate::schedule::Phase;
use crate::stage::{Side, Upstream};
use crate::text::{after, count, duration, share};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");

/// One file that needs nothing else.
pub fn page(report: &Report) -> String {
    let settings = &report.settings;
    let (result, mark) = result(report);
    let parts = [
        ("{{style}}", STYLE.to_owned()),
        ("{{result}}", result.to_owned()),
        ("{{mark}}", mark),
        ("{{headline}}", unbroken(&report.headline)),
        ("{{calls}}", count(calls(report))),
        ("{{tiles}}", tiles(report)),
        ("{{chart}}", chart::draw(report)),
        ("{{bounds}}", report.bounds.iter().map(bound_row).collect()),
        ("{{phases}}", report.phases.iter().map(phase_rows).collect()),
        ("{{rate}}", count(settings.rate as usize)),
        ("{{seconds}}", settings.seconds.to_string()),
        ("{{seed}}", settings.seed.to_string()),
        ("{{open_time}}", duration(settings.open_time)),
        ("{{lateness}}", report.lateness()),
    ];
    parts.iter().fold(PAGE.to_owned(), |page, (name, text)| {
        page.replace(name, text)
    })
}

/// The class of the result and the words for it.
fn result(report: &Report) -> (&'static str, String) {
    match (report.result, report.cut_short) {
        (Outcome::Broken, _) => ("broken", "✗ a bound broke".into()),
        (Outcome::Held, None) => ("held", "✓ every judged bound held".into()),
        (Outcome::Held, Some(after)) => {
            let after = duration(after);
            (
                "unjudged",
                format!("cut short after {after}; no bound broke until then"),
            )
        }
    }
}

/// Keeps a figure and its unit on one line.
fn unbroken(text: &str) -> String {
    text.replace(" %", "\u{a0}%")
        .replace(" ms", "\u{a0}ms")
        .replace("≥ ", "≥\u{a0}")
}

/// Calls to each gateway.
fn calls(report: &Report) -> usize {
    let calls = |phase: &PhaseFigures| {
        phase.sides.protected.inventory.calls + phase.sides.protected.payments.calls
    };
    report.phases.iter().map(calls).sum()
}

/// The figures that tell the story, protected and bare beside each other.
fn tiles(report: &Report) -> String {
    let of = |phase| report.evidence.of(phase).filter(|phase| phase.over);
    let served = |phase: &PhaseFigures, side| share(&phase.sides.of(side).inventory);
    let asked = |phase: &PhaseFigures, side| count(asked(phase, side));
    let again = |_: &PhaseFigures, side| after(report.recovery.of(side).served_again);
    [
        tile(
            "Inventory served while payments hangs",
            of(Phase::Hanging),
            served,
        ),
        tile(
            "Calls sent on to a payments that is dead",
            of(Phase::Dead),
            asked,
        ),
        tile(
            "Payments served again after its return",
            of(Phase::Back),
            again,
        ),
    ]
    .concat()
}

/// Calls to payments that the gateway did not refuse.
const fn asked(phase: &PhaseFigures, side: Side) -> usize {
    let payments = &phase.sides.of(side).payments;
    payments.calls - payments.refused
}

fn tile(
    title: &str,
    phase: Option<&PhaseFigures>,
    figure: impl Fn(&PhaseFigures, Side) -> String,
) -> String {
    let figure = |side| phase.map_or_else(|| "–".into(), |phase| figure(phase, side));
    let (protected, bare) = (figure(Side::Protected), figure(Side::Bare));
    format!(
        r#"<div class="tile"><h2>{title}</h2><p class="big">{protected}</p><p class="versus">bare: {bare}</p></div>"#
    )
}

fn bound_row(bound: &Bound) -> String {
    let Bound {
        rule,
        phase,
        limit,
        protected,
        bare,
        verdict,
    } = bound;
    let (class, verdict) = match verdict {
        Verdict::Held => ("held", "✓ held".to_owned()),
        Verdict::Broken => ("broken", "✗ broken".to_owned()),
        Verdict::NotJudged(reason) => ("unjudged", format!("not judged: {reason}")),
    };
    let (rule, phase, limit) = (rule.name(), phase.name(), limit.replace('<', "&lt;"));
    format!(
        r#"<tr><th scope="row">{rule}</th><td>{phase}</td><td>{limit}</td><td>{protected}</td><td>{bare}</td><td class="{class}">{verdict}</td></tr>
"#
    )
}

/// Two rows, one for each gateway.
fn phase_rows(phase: &PhaseFigures) -> String {
    let mut rows = String::new();
    let (name, story) = (phase.phase.name(), phase.phase.story());
    let cut = if phase.over { "" } else { " (cut short)" };
    for side in Side::ALL {
        rows.push_str(if side == Side::Protected {
            r#"<tr class="first">"#
        } else {
            "<tr>"
        });
        if side == Side::Protected {
            let _ = write!(
                rows,
                r#"<th scope="rowgroup" rowspan="2">{name}{cut}<small>{story}</small></th>"#
            );
        }
        let _ = write!(rows, r#"<th scope="row">{}</th>"#, side.name());
        for upstream in Upstream::ALL {
            rows.push_str(&cells(phase.sides.of(side).of(upstream)));
        }
        rows.push_str("</tr>\n");
    }
    rows
}

fn cells(figures: &Figures) -> String {
    let Figures {
        calls,
        refused,
        timed_out,
        failed,
        p99,
        ..
    } = figures;
    let figures = [
        count(*calls),
        share(figures),
        count(*refused),
        count(*timed_out),
        count(*failed),
        p50(figures),
        p99.map_or_else(|| "–".into(), duration),
    ];
    figures.map(|figure| format!("<td>{figure}</td>")).concat()
}

fn p50(figures: &Figures) -> String {
    figures.p50.map_or_else(|| "–".into(), duration)
}
