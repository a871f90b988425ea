//! The chart: six panels over one time axis, with the phases as bands behind them.

use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

use super::panel::{Line, Panel, Scale, TimeAxis};
use super::{Report, Slice, attempts, tip};
use crate::breakers::BreakerState;
use crate::figures::Figures;
use crate::judge::PhaseFigures;
use crate::schedule::Phase;
use crate::stage::{Class, Side, Upstream};
use crate::text::duration;

const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 18.0;
const HEADER: f64 = 50.0;
const PANEL: f64 = 92.0;
const GAP: f64 = 42.0;
/// The strip under a panel that shows the breaker, or when a timeout was frozen.
const STRIP: f64 = 10.0;
const BOTTOM: f64 = HEADER + 6.0 * (PANEL + GAP) + 3.0 * STRIP;
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
                let panel = self.panel(&title, top, scale, self.lines(side, scale));
                panel.draw(svg);
                top += PANEL + GAP;
                match (side, scale) {
                    (Side::Protected, Scale::Share) => {
                        self.draw_strip(svg, top - GAP, self.breaker());
                        top += STRIP;
                    }
                    (Side::Protected, _) => self.draw_limits(svg, &panel),
                    (Side::Bare, _) => {}
                }
            }
        }
        self.draw_attempts(svg, top);
    }

    /// Towards each upstream, how long attempts may take beside how long they do.
    fn draw_attempts(&self, svg: &mut String, mut top: f64) {
        for upstream in Upstream::ALL {
            let (scale, lines) = attempts::lines(self.report, upstream, self.axis.total);
            let title = format!(
                "{} · timeout of an attempt to {}, and what it takes (p95; p50 dotted)",
                gateway(Side::Protected),
                upstream.name()
            );
            self.panel(&title, top, scale, lines).draw(svg);
            top += PANEL + GAP;
            let frozen = self.report.timeouts.of(upstream).frozen(self.axis.total);
            let frozen = frozen.into_iter().map(|span| ("frozen", span));
            self.draw_strip(svg, top - GAP, frozen);
            top += STRIP;
        }
    }

    fn panel<'a>(&self, title: &'a str, top: f64, scale: Scale, lines: Vec<Line>) -> Panel<'a> {
        Panel {
            title,
            top,
            height: PANEL,
            axis: self.axis,
            scale,
            lines,
        }
    }

    /// What is told apart: upstreams in the outage, what callers came for in the rush.
    fn lines(&self, side: Side, scale: Scale) -> Vec<Line> {
        let rush = self.rush();
        let (outage, rushed): (Vec<&Slice>, Vec<&Slice>) =
            self.report.timeline.iter().partition(|s| s.from < rush);
        let is_share = matches!(scale, Scale::Share);
        let upstreams = [Upstream::Payments, Upstream::Inventory].map(|upstream| Line {
            name: upstream.name(),
            loses: is_share && upstream == Upstream::Inventory,
            levels: levels(scale, &outage, |slice| slice.sides.of(side).of(upstream)),
        });
        let classes = [Class::Browse, Class::Checkout].map(|class| Line {
            name: class.name(),
            loses: is_share && class == Class::Checkout,
            levels: levels(scale, &rushed, |slice| slice.classes.of(side).of(class)),
        });
        upstreams.into_iter().chain(classes).collect()
    }

    /// When the rush began; at the end, if it did not.
    fn rush(&self) -> Duration {
        let mut phases = self.report.phases.iter();
        let rush = phases.find(|phase| phase.phase == Phase::Rush);
        rush.map_or(self.axis.total, |rush| rush.from)
    }

    /// When the breaker towards payments was open, or probing.
    fn breaker(&self) -> impl Iterator<Item = (&'static str, Range<Duration>)> {
        let changes = self.report.transitions.iter();
        let payments: Vec<_> = changes
            .filter(|t| t.upstream == Upstream::Payments)
            .collect();
        let end = self.axis.total;
        let ends = payments.iter().skip(1).map(|next| next.at);
        let ends: Vec<_> = ends.chain([end]).collect();
        let each = payments.into_iter().zip(ends);
        let troubled = each.filter(|(change, _)| change.state != BreakerState::Closed);
        troubled.map(move |(change, until)| (change.state.name(), change.at..until.min(end)))
    }

    /// Marks parts of the run beneath the panel that ends at `bottom`, each as the style sheet knows it.
    fn draw_strip(
        &self,
        svg: &mut String,
        bottom: f64,
        spans: impl IntoIterator<Item = (&'static str, Range<Duration>)>,
    ) {
        let top = bottom + 6.0;
        for (name, span) in spans {
            let x = self.axis.x(span.start);
            let width = (self.axis.x(span.end) - x).max(0.8);
            let _ = writeln!(
                svg,
                r#"<rect class="span {name}" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{STRIP}"/>"#
            );
        }
    }

    /// The bounds on p99: of inventory in the outage, of checkouts in the rush.
    fn draw_limits(&self, svg: &mut String, panel: &Panel<'_>) {
        let Report { evidence, .. } = self.report;
        let rush = self.axis.x(self.rush());
        for (whose, limit, from, to) in [
            ("inventory", evidence.latency_limit(), LEFT, rush),
            ("checkout", evidence.checkout_limit(), rush, RIGHT),
        ] {
            if let Some(limit) = limit.filter(|_| from < to) {
                let y = panel.y(panel.scale.height_of(limit));
                let (x, above, limit) = (from + 6.0, y - 4.0, duration(limit));
                let _ = writeln!(
                    svg,
                    r#"<path class="limit" d="M{from:.1} {y:.1}H{to:.1}"/><text class="limit-label" x="{x:.1}" y="{above:.1}">{whose}’s bound, {limit}</text>"#,
                );
            }
        }
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
                tip::of(slice),
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

fn levels<'a>(
    scale: Scale,
    slices: &[&'a Slice],
    figures: impl Fn(&'a Slice) -> &'a Figures,
) -> Vec<(Range<Duration>, f64)> {
    let each = slices.iter();
    each.filter_map(|slice| Some((slice.from..slice.to, scale.height(figures(slice))?)))
        .collect()
}
