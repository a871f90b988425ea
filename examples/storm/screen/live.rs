//! The drawing: the phase, a progress bar, and for each gateway a line for each upstream and class.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::View;
use crate::figures::Figures;
use crate::schedule::Schedule;
use crate::stage::{Class, PerClass, PerSide, PerUpstream, Side, Upstream};
use crate::text::{amplification, duration_or_none, share};

/// How often the terminal is written to, per second.
const FRAMES: u8 = 10;

/// Everything drawn, from top to bottom.
#[derive(Debug)]
pub struct Live {
    bars: MultiProgress,
    phase: ProgressBar,
    progress: ProgressBar,
    rows: PerSide<Rows>,
    /// What never changes. The line of a bar that is dropped would be erased.
    _still: [ProgressBar; 3],
}

/// The lines of one gateway.
#[derive(Debug)]
struct Rows {
    upstreams: PerUpstream<ProgressBar>,
    classes: PerClass<ProgressBar>,
}

impl Live {
    pub fn new(title: &str, schedule: Schedule) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stdout_with_hz(FRAMES));
        let line = |template| bars.add(ProgressBar::new(0).with_style(style(template)));
        let still = |template, text: &str| {
            let line = line(template);
            line.set_message(text.to_owned());
            line.tick();
            line
        };
        let title = still("{wide_msg:.bold}", title);
        let phase = line("{wide_msg}");
        let total = schedule.total().as_millis() as u64;
        let bar = ProgressBar::new(total).with_style(style("{wide_bar:.cyan/dim}  {msg:>13}"));
        let progress = bars.add(bar.with_message(clock(Duration::ZERO, schedule.total())));
        let gap = still("{wide_msg}", " ");
        let header = still("{wide_msg:.dim}", HEADER);
        let rows = PerSide::from_fn(|_| Rows {
            upstreams: PerUpstream::from_fn(|_| line("{wide_msg}")),
            classes: PerClass::from_fn(|_| line("{wide_msg}")),
        });
        Self {
            bars,
            phase,
            progress,
            rows,
            _still: [title, gap, header],
        }
    }

    pub fn show(&self, view: &View) {
        let total = Duration::from_millis(self.progress.length().unwrap_or_default());
        self.phase
            .set_message(format!("{}: {}", view.phase.name(), view.phase.story()));
        self.progress.set_position(view.now.as_millis() as u64);
        self.progress.set_message(clock(view.now, total));
        for side in Side::ALL {
            self.show_side(view, side);
        }
    }

    fn show_side(&self, view: &View, side: Side) {
        let rows = self.rows.of(side);
        for upstream in Upstream::ALL {
            let gateway = match upstream {
                Upstream::Inventory => side.name(),
                Upstream::Payments => "",
            };
            let breaker = match side {
                Side::Protected => view.breakers.of(upstream).name(),
                Side::Bare => "none",
            };
            let figures = view.figures.of(side).of(upstream);
            let text = format!("{gateway:10}{:10}", upstream.name());
            let text = format!("{text}{}  {breaker}", cells(view, figures));
            show_row(rows.upstreams.of(upstream), figures, text);
        }
        for class in Class::ALL {
            let figures = view.classes.of(side).of(class);
            let text = format!("{:10}{:10}{}", "", class.name(), cells(view, figures));
            show_row(rows.classes.of(class), figures, text);
        }
    }

    pub fn close(&self) {
        // A terminal that cannot be cleared keeps the last drawing.
        let _ = self.bars.clear();
    }
}

/// Load is how many attempts came of each call that was sent on.
const HEADER: &str =
    "                     served  goodput degraded     p99  refused  load  breaker";

/// Shows a line, in another colour while calls are lost.
fn show_row(row: &ProgressBar, figures: &Figures, text: String) {
    let well = figures.calls == 0 || figures.serves(99);
    row.set_style(style(if well {
        "{wide_msg}"
    } else {
        "{wide_msg:.yellow}"
    }));
    row.set_message(text);
}

fn cells(view: &View, figures: &Figures) -> String {
    format!(
        "{:>7} {:>8} {:>8} {:>7} {:>8} {:>5}",
        share(figures),
        view.per_second(figures.served),
        view.per_second(figures.degraded.total()),
        duration_or_none(figures.p99),
        view.per_second(figures.refused),
        amplification(figures.attempts),
    )
}

fn clock(now: Duration, total: Duration) -> String {
    let now = now.min(total).as_secs_f64();
    format!("{now:.1} of {:.0} s", total.as_secs_f64())
}

/// A template of ours is right or a test fails; what remains is indicatif's own.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━─")
}
