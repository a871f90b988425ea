//! One panel of the chart: lines over time, on a scale of its own.

use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

use crate::figures::Figures;
use crate::text::duration;

/// The plane all panels share: time runs from `left` to `right`.
#[derive(Clone, Copy, Debug)]
pub struct TimeAxis {
    pub left: f64,
    pub right: f64,
    pub total: Duration,
}

impl TimeAxis {
    pub fn x(&self, time: Duration) -> f64 {
        let share = time.as_secs_f64() / self.total.as_secs_f64();
        self.left + (self.right - self.left) * share
    }
}

/// Where values stand between the bottom and the top of a panel.
#[derive(Clone, Copy, Debug)]
pub enum Scale {
    /// The share of calls served, from none to all.
    Share,
    /// Latencies, between two powers of ten that need not be whole.
    Log { from: f64, to: f64 },
    /// Latencies, from none to one that none exceeds.
    Linear { to: Duration },
}

impl Scale {
    /// A logarithmic scale with room for all of `latencies`.
    pub fn around(latencies: impl Iterator<Item = Duration>) -> Self {
        let powers = latencies.map(power_of);
        let (low, high) = powers.fold((-3.0_f64, -1.0_f64), |(low, high), power| {
            (low.min(power), high.max(power))
        });
        Self::Log {
            from: low.floor(),
            to: high + 0.1,
        }
    }

    /// The height of figures, 0 at the bottom and 1 at the top; `None` where there is none.
    pub fn height(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Share => {
                (figures.calls > 0).then(|| figures.served as f64 / figures.calls as f64)
            }
            Self::Log { .. } | Self::Linear { .. } => figures.p99.map(|p99| self.height_of(p99)),
        }
    }

    /// The height of a latency.
    pub fn height_of(self, latency: Duration) -> f64 {
        let height = match self {
            Self::Share => 0.0,
            Self::Log { from, to } => height_of_power(power_of(latency), from, to),
            Self::Linear { to } => latency.as_secs_f64() / to.as_secs_f64(),
        };
        height.clamp(0.0, 1.0)
    }

    /// The heights that are ruled, with their labels.
    fn ticks(self) -> Vec<(f64, String)> {
        match self {
            Self::Share => vec![
                (0.0, "0 %".into()),
                (0.5, "50 %".into()),
                (1.0, "100 %".into()),
            ],
            Self::Log { from, to } => {
                let whole = from.ceil() as i32..=to.floor() as i32;
                let height = |power: i32| height_of_power(power.into(), from, to);
                whole
                    .map(|power| (height(power), power_of_ten(power)))
                    .collect()
            }
            Self::Linear { to } => vec![
                (0.0, "0".into()),
                (0.5, duration(to / 2)),
                (1.0, duration(to)),
            ],
        }
    }
}

fn height_of_power(power: f64, from: f64, to: f64) -> f64 {
    (power - from) / (to - from)
}

/// The power of ten that a latency is, in seconds; nothing is faster than 10 µs.
fn power_of(latency: Duration) -> f64 {
    latency.as_secs_f64().max(1e-5).log10()
}

/// The label of a power of ten, in seconds.
fn power_of_ten(power: i32) -> String {
    match power {
        0.. => format!("{} s", 10_u32.pow(power.unsigned_abs())),
        -3..0 => format!("{} ms", 10_u32.pow((power + 3).unsigned_abs())),
        _ => format!("{} µs", 10_u32.pow((power + 6).max(0).unsigned_abs())),
    }
}

/// One line of a panel: the same figure in each slice of a part of the run.
#[derive(Debug)]
pub struct Line {
    /// What the style sheet knows it by.
    pub name: &'static str,
    /// Whether all that it leaves above is filled, as lost.
    pub loses: bool,
    /// The slices that have a figure, with its height.
    pub levels: Vec<(Range<Duration>, f64)>,
}

/// What a panel shows, the last line above the others.
#[derive(Debug)]
pub struct Panel<'a> {
    pub title: &'a str,
    pub top: f64,
    pub height: f64,
    pub axis: TimeAxis,
    pub scale: Scale,
    pub lines: Vec<Line>,
}

impl Panel<'_> {
    pub fn draw(&self, svg: &mut String) {
        self.draw_rules(svg);
        for line in &self.lines {
            if line.loses {
                self.draw_lost(svg, line);
            }
            let (name, points) = (line.name, self.points(line));
            let _ = write!(svg, r#"<polyline class="{name}" points="{points}"/>"#);
        }
        let (left, title) = (self.axis.left, self.top - 9.0);
        let _ = writeln!(
            svg,
            r#"<text class="title" x="{left}" y="{title:.1}">{}</text>"#,
            self.title
        );
    }

    fn draw_rules(&self, svg: &mut String) {
        let TimeAxis { left, right, .. } = self.axis;
        for (height, label) in self.scale.ticks() {
            let y = self.y(height);
            let _ = write!(svg, r#"<path class="rule" d="M{left} {y:.1}H{right}"/>"#);
            let (x, y) = (left - 8.0, y + 4.0);
            let _ = writeln!(
                svg,
                r#"<text class="tick" x="{x}" y="{y:.1}">{label}</text>"#
            );
        }
    }

    /// Fills what was lost: everything between the line and all calls.
    fn draw_lost(&self, svg: &mut String, line: &Line) {
        let (Some((first, _)), Some((last, _))) = (line.levels.first(), line.levels.last()) else {
            return;
        };
        let (first, last) = (self.axis.x(first.start), self.axis.x(last.end));
        let (name, points, top) = (line.name, self.points(line), self.top);
        let _ = writeln!(
            svg,
            r#"<polygon class="lost {name}" points="{first:.1},{top} {points} {last:.1},{top}"/>"#
        );
    }

    /// The points of a line, level within each slice; slices without a figure are passed over.
    fn points(&self, line: &Line) -> String {
        let points = line.levels.iter().map(|(span, height)| {
            let y = self.y(*height);
            let (from, to) = (self.axis.x(span.start), self.axis.x(span.end));
            format!("{from:.1},{y:.1} {to:.1},{y:.1}")
        });
        points.collect::<Vec<_>>().join(" ")
    }

    pub fn y(&self, height: f64) -> f64 {
        self.top + self.height * (1.0 - height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_scale_has_room_for_every_latency_and_rules_powers_of_ten() {
        let latencies = [3, 40, 1_200].map(Duration::from_millis);
        let scale = Scale::around(latencies.into_iter());
        let Scale::Log { from, to } = scale else {
            panic!("{scale:?}")
        };
        assert!(from == -3.0 && (0.0..1.0).contains(&to), "{scale:?}");
        assert!(scale.height_of(Duration::from_millis(1)) == 0.0);
        assert!((0.9..1.0).contains(&scale.height_of(Duration::from_millis(1_200))));
        let labels: Vec<_> = scale.ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["1 ms", "10 ms", "100 ms", "1 s"]);
    }

    #[test]
    fn a_linear_scale_ends_at_what_none_exceeds() {
        let scale = Scale::Linear {
            to: Duration::from_millis(500),
        };
        let heights = [0, 250, 500, 501].map(|ms| scale.height_of(Duration::from_millis(ms)));
        assert_eq!(heights, [0.0, 0.5, 1.0, 1.0]);
        let labels: Vec<_> = scale.ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0", "250 ms", "500 ms"]);
    }

    #[test]
    fn ticks_are_labelled_in_the_unit_that_fits() {
        let labels: Vec<_> = (-5..=1).map(power_of_ten).collect();
        assert_eq!(
            labels,
            ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]
        );
    }

    #[test]
    fn the_share_of_a_bin_without_calls_is_not_drawn() {
        assert_eq!(Scale::Share.height(&Figures::default()), None);
    }
}
