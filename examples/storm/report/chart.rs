//! The chart: four panels over one time axis, with the phases as bands behind them.

use std::fmt::Write;
use std::time::Duration;

use super::panel::{Panel, Scale, TimeAxis};
use super::{Report, Slice};
use crate::breakers::BreakerState;
use crate::figures::Figures;
use crate::judge::PhaseFigures;
use crate::stage::{Side, Upstream};
use crate::text::{duration, share};

const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 18.0;
const HEADER: f64 = 50.0;
const PANEL: f64 = 92.0;
const GAP: f64 = 42.0;
/// The strip under the first panel that shows the breaker.
const STRIP: f64 = 10.0;
const BOTTOM: f64 = HEADER + 4.0 * (PANEL + GAP) + STRIP;
const HEIGHT: f64 = BOTTOM + 24.0;

/// Draws the whole run as one SVG element.
pub fn draw(report: &Report) -> String {
    let chart = Chart {
        report,
        axis: axis(report),
    };
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="chart-title">
<title id="chart-title">{}</title>
"#,
        report.headline
    );
    chart.draw_bands(&mut svg);
    chart.draw_panels(&mut svg);
    chart.draw_seconds(&mut svg);
    chart.draw_tips(&mut svg);
    svg.push_str("</svg>");
    svg
}

fn axis(report: &Report) -> TimeAxis {
    let total = report
        .phases
        .last()
        .map_or(Duration::from_secs(1), |last| last.to);
    TimeAxis {
        left: LEFT,
        right: RIGHT,
        total,
    }
}

struct Chart<'a> {
    report: &'a Report,
    axis: TimeAxis,
}

impl Chart<'_> {
    /// One band for each phase, with its name and what it does to payments.
    fn draw_bands(&self, svg: &mut String) {
        for (index, phase) in self.report.phases.iter().enumerate() {
            let PhaseFigures {
                phase, from, to, ..
            } = phase;
            let (x, width) = (self.axis.x(*from), self.axis.x(*to) - self.axis.x(*from));
            let parity = if index % 2 == 0 { "even" } else { "odd" };
            let middle = x + width / 2.0;
            let _ = writeln!(
                svg,
                r#"<rect class="band {parity}" x="{x:.1}" y="0" width="{width:.1}" height="{BOTTOM}"/>
<text class="phase" x="{middle:.1}" y="18">{}</text><text class="brief" x="{middle:.1}" y="34">{}</text>"#,
                phase.name(),
                phase.brief(),
            );
        }
        let (x, y) = (LEFT - 8.0, 34.0);
        let _ = writeln!(svg, r#"<text class="tick" x="{x}" y="{y}">payments</text>"#);
    }

    fn draw_panels(&self, svg: &mut String) {
        let latencies = self.report.timeline.iter().flat_map(latencies);
        let log = Scale::around(latencies);
        let mut top = HEADER + GAP / 2.0;
        for (scale, what) in [
            (Scale::Share, "calls served"),
            (log, "time to an answer (p99, log scale)"),
        ] {
            for side in Side::ALL {
                let title = format!("{} · {what}", gateway(side));
                let panel = self.panel(side, &title, top, scale);
                panel.draw(svg);
                top += PANEL + GAP;
                match (side, scale) {
                    (Side::Protected, Scale::Share) => {
                        self.draw_strip(svg, top - GAP + 6.0);
                        top += STRIP;
                    }
                    (Side::Protected, Scale::Log { .. }) => self.draw_limit(svg, &panel),
                    (Side::Bare, _) => {}
                }
            }
        }
    }

    fn panel<'a>(&'a self, side: Side, title: &'a str, top: f64, scale: Scale) -> Panel<'a> {
        let slices = self.report.timeline.iter();
        let slices = slices.map(|slice| (slice.from..slice.to, slice.sides.of(side)));
        Panel {
            title,
            top,
            height: PANEL,
            axis: self.axis,
            scale,
            slices: slices.collect(),
        }
    }

    /// When the breaker towards payments was open, or probing.
    fn draw_strip(&self, svg: &mut String, top: f64) {
        let changes = self.report.transitions.iter();
        let payments: Vec<_> = changes
            .filter(|t| t.upstream == Upstream::Payments)
            .collect();
        let ends = payments
            .iter()
            .skip(1)
            .map(|next| next.at)
            .chain([self.axis.total]);
        for (change, end) in payments.iter().zip(ends) {
            if change.state != BreakerState::Closed {
                let (x, end) = (
                    self.axis.x(change.at),
                    self.axis.x(end.min(self.axis.total)),
                );
                let (class, width) = (change.state.name(), (end - x).max(0.8));
                let _ = writeln!(
                    svg,
                    r#"<rect class="breaker {class}" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{STRIP}"/>"#
                );
            }
        }
    }

    /// The bound on inventory's p99.
    fn draw_limit(&self, svg: &mut String, panel: &Panel<'_>) {
        let Some(limit) = self.report.evidence.latency_limit() else {
            return;
        };
        let y = panel.y(panel.scale.height_of(limit));
        let _ = writeln!(
            svg,
            r#"<path class="limit" d="M{LEFT} {y:.1}H{RIGHT}"/><text class="limit-label" x="{:.1}" y="{:.1}">inventory’s bound, {}</text>"#,
            LEFT + 6.0,
            y - 4.0,
            duration(limit),
        );
    }

    fn draw_seconds(&self, svg: &mut String) {
        let total = self.axis.total.as_secs();
        let step = [1, 2, 5, 10, 30, 60]
            .into_iter()
            .find(|step| total / step <= 12)
            .unwrap_or(120);
        for second in (0..=total).step_by(step as usize) {
            let (x, y) = (self.axis.x(Duration::from_secs(second)), BOTTOM + 18.0);
            let _ = writeln!(
                svg,
                r#"<text class="second" x="{x:.1}" y="{y}">{second} s</text>"#
            );
        }
    }

    /// What a pointer finds over each slice.
    fn draw_tips(&self, svg: &mut String) {
        for slice in &self.report.timeline {
            let (x, end) = (self.axis.x(slice.from), self.axis.x(slice.to));
            let _ = writeln!(
                svg,
                r#"<rect class="tip" x="{x:.1}" y="{HEADER}" width="{:.1}" height="{:.1}"><title>{}</title></rect>"#,
                end - x,
                BOTTOM - HEADER,
                tip(slice),
            );
        }
    }
}

const fn gateway(side: Side) -> &'static str {
    match side {
        Side::Protected => "Protected by buttress",
        Side::Bare => "Bare",
    }
}

fn latencies(slice: &Slice) -> impl Iterator<Item = Duration> {
    let pairs = Side::ALL
        .into_iter()
        .flat_map(|side| Upstream::ALL.map(|upstream| (side, upstream)));
    pairs.filter_map(|(side, upstream)| slice.sides.of(side).of(upstream).p99)
}

fn tip(slice: &Slice) -> String {
    let (from, to) = (slice.from.as_secs_f64(), slice.to.as_secs_f64());
    let mut text = format!("{from:.2} to {to:.2} s");
    for side in Side::ALL {
        for upstream in Upstream::ALL {
            let figures = slice.sides.of(side).of(upstream);
            let Figures { calls, p99, .. } = figures;
            let p99 = p99.map_or_else(|| "–".into(), duration);
            let (gateway, upstream, share) = (side.name(), upstream.name(), share(figures));
            let _ = write!(
                text,
                "\n{gateway}, {upstream}: {share} of {calls} served, p99 {p99}"
            );
        }
    }
    text
}
