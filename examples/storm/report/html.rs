//! The page: hand-written HTML and CSS, filled with the figures of a run.

use std::fmt::Write;

use super::{Outcome, Report, chart, greed, levels};
use crate::attempts::Attempts;
use crate::figures::Figures;
use crate::gateway::plan::{FACTOR, FIRST_BACKOFF, FLOOR, PRIMARY_TIME, REPLICA_TIME, RETRIES};
use crate::judge::{Bound, PhaseFigures, Verdict};
use crate::load::arrivals::ITEMS;
use crate::schedule::Phase;
use crate::stage::{Class, Side, Upstream};
use crate::text::{
    after, after_exactly, amplification, count, duration, duration_or_none, percent, share,
};

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
        (
            "{{classes}}",
            report.phases.iter().map(class_rows).collect(),
        ),
        ("{{levels}}", levels::rows(report)),
        ("{{levels_chart}}", levels::draw(report)),
        ("{{failover}}", unbroken(&levels::story(report))),
        ("{{replica_slots}}", settings.plan.replica_slots.to_string()),
        ("{{primary_time}}", duration(PRIMARY_TIME)),
        ("{{replica_time}}", duration(REPLICA_TIME)),
        ("{{items}}", ITEMS.to_string()),
        ("{{loads}}", load_rows(report)),
        ("{{retries}}", RETRIES.to_string()),
        ("{{first_backoff}}", duration(FIRST_BACKOFF)),
        ("{{retry_time}}", duration(settings.plan.retry_time)),
        ("{{open_time}}", duration(settings.plan.open_time)),
        ("{{rush_rate}}", count(settings.plan.rush_rate as usize)),
        ("{{slots}}", count(settings.plan.capacity as usize)),
        ("{{queue}}", count(settings.plan.queue as usize)),
        ("{{factor}}", FACTOR.to_string()),
        ("{{floor}}", duration(FLOOR)),
        ("{{max_wait}}", duration(settings.plan.attempt_limit)),
        ("{{greed}}", unbroken(&greed::story(report))),
        ("{{greedy}}", greed::rows(report)),
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
    let again = |_: &PhaseFigures, side| after(report.recovery.of(side).served_again);
    let checkouts = |phase: &PhaseFigures, side| share(&phase.classes.of(side).checkout);
    [
        tile(
            "Inventory served while payments hangs",
            of(Phase::Hanging),
            served,
        ),
        tile(
            "Attempts per call while payments is in trouble",
            of(Phase::Dead),
            |_, side| amplification(report.load.failing.of(side).payments),
        ),
        tile(
            "Payments served again after its return",
            of(Phase::Back),
            again,
        ),
        tile(
            "First degraded answer once payments hangs",
            of(Phase::Hanging),
            |phase, side| first_degraded(report, phase, side),
        ),
        tile(
            "First degraded answer once it is killed",
            of(Phase::Dead),
            |phase, side| first_degraded(report, phase, side),
        ),
        tile(
            "Calls without any answer until the rush",
            of(Phase::Back),
            |_, side| count(*report.unanswered.of(side)),
        ),
        tile("Checkouts served in the rush", of(Phase::Rush), checkouts),
        tile(
            "Calls of the greedy client turned away",
            of(Phase::Rush),
            |_, side| greed::turned_away(report.greed.of(side)),
        ),
    ]
    .concat()
}

fn first_degraded(report: &Report, phase: &PhaseFigures, side: Side) -> String {
    let mut all = report.failovers.iter();
    let its = all.find(|failover| failover.phase == phase.phase);
    after_exactly(its.and_then(|its| its.first_degraded.of(side).after))
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
        span,
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
    let limit = limit.replace('<', "&lt;").replace('>', "&gt;");
    let (rule, span) = (rule.name(), span.name());
    format!(
        r#"<tr><th scope="row">{rule}</th><td>{span}</td><td>{limit}</td><td>{protected}</td><td>{bare}</td><td class="{class}">{verdict}</td></tr>
"#
    )
}

/// Two rows for each phase, and for the whole, with what retries made of the calls.
fn load_rows(report: &Report) -> String {
    let phases = report.phases.iter().map(|phase| {
        let attempts = |side, upstream| phase.sides.of(side).of(upstream).attempts;
        rows(&name(phase), phase.phase.story(), |side| {
            Upstream::ALL
                .map(|up| load_cells(attempts(side, up)))
                .concat()
        })
    });
    let spans = report.load.each().map(|(span, load)| {
        rows(span.name(), "", |side| {
            Upstream::ALL
                .map(|up| load_cells(*load.of(side).of(up)))
                .concat()
        })
    });
    phases.chain(spans).collect()
}

/// Two rows, one for each gateway, with every figure of each upstream.
fn phase_rows(phase: &PhaseFigures) -> String {
    rows(&name(phase), phase.phase.story(), |side| {
        let figures = Upstream::ALL.map(|upstream| cells(phase.sides.of(side).of(upstream)));
        figures.concat()
    })
}

/// Two rows, one for each gateway, with the figures of each class that its callers care for.
fn class_rows(phase: &PhaseFigures) -> String {
    rows(&name(phase), "", |side| {
        let classes = phase.classes.of(side);
        let figures = Class::ALL.map(|class| class_cells(classes.of(class), &classes.total()));
        figures.concat()
    })
}

pub fn name(phase: &PhaseFigures) -> String {
    let cut = if phase.over { "" } else { " (cut short)" };
    format!("{}{cut}", phase.phase.name())
}

pub fn rows(name: &str, story: &str, cells: impl Fn(Side) -> String) -> String {
    let mut rows = String::new();
    for side in Side::ALL {
        rows.push_str(if side == Side::Protected {
            r#"<tr class="first">"#
        } else {
            "<tr>"
        });
        if side == Side::Protected {
            let _ = write!(
                rows,
                r#"<th scope="rowgroup" rowspan="2">{name}<small>{story}</small></th>"#
            );
        }
        let _ = write!(rows, r#"<th scope="row">{}</th>"#, side.name());
        rows.push_str(&cells(side));
        rows.push_str("</tr>\n");
    }
    rows
}

fn cells(figures: &Figures) -> String {
    data(&[
        count(figures.calls),
        share(figures),
        count(figures.degraded.total()),
        count(figures.refused),
        count(figures.timed_out),
        count(figures.failed),
        duration_or_none(figures.p50),
        duration_or_none(figures.p99),
    ])
}

fn class_cells(figures: &Figures, all: &Figures) -> String {
    data(&[
        count(figures.calls),
        share(figures),
        count(figures.refused),
        duration_or_none(figures.p99),
        percent(figures.served, all.served),
    ])
}

fn load_cells(attempts: Attempts) -> String {
    data(&[
        count(attempts.first),
        count(attempts.all - attempts.first),
        amplification(attempts),
    ])
}

pub fn data(figures: &[String]) -> String {
    let each = figures.iter().map(|figure| format!("<td>{figure}</td>"));
    each.collect()
}
