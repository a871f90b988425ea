//! The lines of a panel about attempts: how long they may take, beside how long they do.

use std::time::Duration;

use super::panel::{Line, Scale};
use super::{Report, Slice};
use crate::stage::Upstream;
use crate::timeouts::Timed;

/// The lines for one upstream, on a scale that ends at the longest an attempt may ever take.
pub fn lines(report: &Report, upstream: Upstream, total: Duration) -> (Scale, Vec<Line>) {
    let scale = Scale::Linear {
        to: report.settings.plan.attempt_limit,
    };
    let stood = report.timeouts.of(upstream).stood(total);
    let timeout = Line {
        name: "timeout",
        loses: false,
        levels: stood
            .into_iter()
            .map(|(span, timeout)| (span, scale.height_of(timeout)))
            .collect(),
    };
    let [p50, p95] = match upstream {
        Upstream::Inventory => ["p50 inventory", "p95 inventory"],
        Upstream::Payments => ["p50 payments", "p95 payments"],
    };
    let quantile = |name, of: fn(&Timed) -> Option<Duration>| {
        pieces(scale, name, &report.timeline, move |slice| {
            of(slice.timeouts.of(upstream))
        })
    };
    let quantiles = [
        quantile(p50, |timed| timed.p50),
        quantile(p95, |timed| timed.p95),
    ];
    let lines = quantiles.into_iter().flatten().chain([timeout]);
    (scale, lines.collect())
}

/// One line for each part of the run in which there were answers: where there are none, nothing is drawn.
fn pieces(
    scale: Scale,
    name: &'static str,
    slices: &[Slice],
    latency: impl Fn(&Slice) -> Option<Duration>,
) -> Vec<Line> {
    let level = |slice: &Slice| {
        let height = scale.height_of(latency(slice)?);
        Some((slice.from..slice.to, height))
    };
    let levels: Vec<_> = slices.iter().map(level).collect();
    let parts = levels
        .split(Option::is_none)
        .filter(|part| !part.is_empty());
    let line = |part: &[Option<_>]| Line {
        name,
        loses: false,
        levels: part.iter().flatten().cloned().collect(),
    };
    parts.map(line).collect()
}
