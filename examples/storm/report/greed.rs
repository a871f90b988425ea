//! The greedy client: what it asked for and got, and how the others fared meanwhile.

use super::html::{data, name, rows as two_rows};
use super::{Others, Report};
use crate::clients::{Greed, greedy_rate};
use crate::judge::{PhaseFigures, Span};
use crate::stage::Side;
use crate::text::{count, duration_or_none, percent, rate, share};

/// What the greedy client is, and whether the others felt it.
pub fn story(report: &Report) -> String {
    let settings = &report.settings;
    let Others {
        without_greed,
        with_greed,
    } = &report.others;
    format!(
        "After the calm phase one client called ten times as often as others do: {asked}. The protected \
         gateway lets each have {allowed}, and {burst} at once. With it, {with} of the others’ calls to \
         inventory were served until the rush, p99 {with_p99}; without it, in the calm phase, {without}, \
         p99 {without_p99}.",
        asked = rate(greedy_rate(settings.rate).into()),
        allowed = rate(settings.plan.per_client.rate()),
        burst = settings.plan.per_client.burst,
        with = share(with_greed),
        with_p99 = duration_or_none(with_greed.p99),
        without = share(without_greed),
        without_p99 = duration_or_none(without_greed.p99),
    )
}

/// The share of its calls that a limit of its own turned away.
pub fn turned_away(greed: &Greed) -> String {
    percent(greed.limited, greed.calls)
}

/// Two rows, one for each gateway, for each phase and for the whole run.
pub fn rows(report: &Report) -> String {
    let phases = report.phases.iter().map(|phase| {
        two_rows(&name(phase), "", |side| {
            let its = its_cells(report, phase.phase.into(), phase.greed.of(side), side);
            its + &others_cells(phase, side)
        })
    });
    let run = two_rows(Span::Run.name(), "", |side| {
        let greed = report.greed.of(side);
        let others = [count(greed.others_limited), "–".into(), "–".into()];
        its_cells(report, Span::Run, greed, side) + &data(&others)
    });
    phases.chain([run]).collect()
}

fn its_cells(report: &Report, span: Span, greed: &Greed, side: Side) -> String {
    let most = match side {
        Side::Protected if greed.calls > 0 => count(report.evidence.most_let_in(span)),
        _ => "–".into(),
    };
    data(&[
        count(greed.calls),
        count(greed.limited),
        turned_away(greed),
        count(greed.let_in()),
        most,
        count(greed.served),
    ])
}

fn others_cells(phase: &PhaseFigures, side: Side) -> String {
    let inventory = &phase.sides.of(side).inventory;
    data(&[
        count(phase.greed.of(side).others_limited),
        share(inventory),
        duration_or_none(inventory.p99),
    ])
}
