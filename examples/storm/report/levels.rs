//! Who answered: an upstream itself, or which level below it; and how soon after it stopped to.

use std::fmt::Write;

use super::html::{data, name, rows as two_rows};
use super::panel::TimeAxis;
use super::{Report, Slice};
use crate::figures::Figures;
use crate::judge::{PhaseFigures, Span};
use crate::levels::{Degraded, Level};
use crate::schedule::Phase;
use crate::stage::{PerSide, Side, Upstream};
use crate::text::{after_exactly, count, percent};

/// What became of calls, by who has answered them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    pub calls: usize,
    pub upstream: usize,
    pub degraded: Degraded,
}

impl Answered {
    /// The calls to one upstream, over any number of phases.
    pub fn of<'a>(figures: impl IntoIterator<Item = &'a Figures>) -> Self {
        figures
            .into_iter()
            .fold(Self::default(), |sum, figures| Self {
                calls: sum.calls + figures.calls,
                upstream: sum.upstream + figures.served,
                degraded: sum.degraded.plus(figures.degraded),
            })
    }

    /// Those that got no answer of any use.
    pub const fn nobody(&self) -> usize {
        self.calls - self.upstream - self.degraded.total()
    }

    /// The share of each: of the upstream itself, of every level below it, and of nobody.
    pub fn shares(&self) -> [String; 5] {
        let [replica, cache, default] = Level::ALL.map(|level| self.degraded.of(level));
        [self.upstream, replica, cache, default, self.nobody()]
            .map(|answers| percent(answers, self.calls))
    }
}

/// Who answered the calls to `upstream` in all phases of the report that belong to `span`.
pub fn answered(report: &Report, span: Span, side: Side, upstream: Upstream) -> Answered {
    let phases = report.phases.iter().filter(|phase| span.holds(phase.phase));
    Answered::of(phases.map(|phase| phase.sides.of(side).of(upstream)))
}

/// How soon another level answered, and whom nobody did.
pub fn story(report: &Report) -> String {
    let mut story = String::new();
    for failover in &report.failovers {
        let PerSide { protected, bare } = failover.first_degraded;
        let since = match failover.phase {
            Phase::Hanging => "Once payments hung",
            _ => "Once it was killed",
        };
        let (protected, bare) = (after_exactly(protected.after), after_exactly(bare.after));
        let _ = write!(
            story,
            "{since}, the first degraded answer came {protected} (bare: {bare}). "
        );
    }
    let [protected, bare] = Side::ALL.map(|side| count(*report.unanswered.of(side)));
    let _ = write!(
        story,
        "Until the rush {protected} calls got no answer at all (bare: {bare})."
    );
    story
}

/// Two rows, one for each gateway, for each phase and for all of them before the rush.
pub fn rows(report: &Report) -> String {
    let row = |name: &str, span| {
        two_rows(name, "", |side| {
            let shares = |upstream| data(&answered(report, span, side, upstream).shares());
            Upstream::ALL.map(shares).concat()
        })
    };
    let of = |phase: &PhaseFigures| row(&name(phase), Span::Phase(phase.phase));
    let phases = report.phases.iter().map(of);
    phases
        .chain([row(Span::Outage.name(), Span::Outage)])
        .collect()
}

const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 18.0;
const TOP: f64 = 26.0;
const PANEL: f64 = 92.0;
const GAP: f64 = 40.0;
const HEIGHT: f64 = TOP + 2.0 * (PANEL + GAP);

/// Draws who answered the calls to payments, one panel for each gateway: what is stacked to the top is all
/// of them.
pub fn draw(report: &Report) -> String {
    let total = report.phases.last().map(|last| last.to);
    let axis = TimeAxis {
        left: LEFT,
        right: RIGHT,
        total: total.unwrap_or_default(),
    };
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Who answered the calls to payments">
"#
    );
    for (number, side) in Side::ALL.into_iter().enumerate() {
        let top = TOP + number as f64 * (PANEL + GAP);
        draw_frame(&mut svg, report, axis, side, top);
        for slice in &report.timeline {
            draw_slice(&mut svg, axis, slice, side, top);
        }
    }
    svg.push_str("</svg>");
    svg
}

fn draw_frame(svg: &mut String, report: &Report, axis: TimeAxis, side: Side, top: f64) {
    let (title, bottom) = (top - 9.0, top + PANEL);
    let _ = writeln!(
        svg,
        r#"<text class="title" x="{LEFT}" y="{title}">{} · who answered the calls to payments</text>
<text class="tick" x="{x}" y="{y}">100 %</text><text class="tick" x="{x}" y="{bottom}">0 %</text>"#,
        side.name(),
        x = LEFT - 8.0,
        y = top + 8.0,
    );
    for phase in &report.phases {
        let (x, y) = (axis.x(phase.from), bottom + 15.0);
        let _ = writeln!(
            svg,
            r#"<path class="rule" d="M{x:.1} {top}V{bottom}"/><text class="phase-start" x="{x:.1}" y="{y}">{}</text>"#,
            phase.phase.name()
        );
    }
}

/// A bar for each that has answered, the upstream itself lowest.
fn draw_slice(svg: &mut String, axis: TimeAxis, slice: &Slice, side: Side, top: f64) {
    let answered = Answered::of([slice.sides.of(side).of(Upstream::Payments)]);
    if answered.calls == 0 {
        return;
    }
    let (x, width) = (axis.x(slice.from), axis.x(slice.to) - axis.x(slice.from));
    let levels = Level::ALL.map(|level| (level.name(), answered.degraded.of(level)));
    let all = [("upstream", answered.upstream)].into_iter().chain(levels);
    let mut y = top + PANEL;
    for (class, answers) in all.chain([("nobody", answered.nobody())]) {
        let height = PANEL * answers as f64 / answered.calls as f64;
        y -= height;
        if answers > 0 {
            let _ = writeln!(
                svg,
                r#"<rect class="by {class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"><title>{class}: {}</title></rect>"#,
                percent(answers, answered.calls)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_answered_by_no_level_is_answered_by_nobody() {
        let figures = Figures {
            calls: 10,
            served: 4,
            failed: 1,
            degraded: Degraded {
                replica: 3,
                local_cache: 2,
                default: 0,
            },
            ..Figures::default()
        };
        let answered = Answered::of([&figures, &figures]);
        assert_eq!((answered.calls, answered.nobody()), (20, 2));
        let shares = ["40.0 %", "30.0 %", "20.0 %", "0.0 %", "10.0 %"];
        assert_eq!(answered.shares(), shares);
    }
}
