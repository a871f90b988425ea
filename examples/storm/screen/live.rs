//! The drawing: the phase, a progress bar, and one line for each upstream of each gateway.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::View;
use crate::figures::Figures;
use crate::schedule::Schedule;
use crate::stage::{PerSide, PerUpstream, Side, Upstream};
use crate::text::{duration, share};

/// How often the terminal is written to, per second.
const FRAMES: u8 = 10;

/// Everything drawn, from top to bottom.
#[derive(Debug)]
pub struct Live {
    bars: MultiProgress,
    phase: ProgressBar,
    progress: ProgressBar,
    rows: PerSide<PerUpstream<ProgressBar>>,
    /// What never changes. The line of a bar that is dropped would be erased.
    _still: [ProgressBar; 3],
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
        let rows = PerSide::from_fn(|_| PerUpstream::from_fn(|_| line("{wide_msg}")));
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
            for upstream in Upstream::ALL {
                self.show_row(view, side, upstream);
            }
        }
    }

    fn show_row(&self, view: &View, side: Side, upstream: Upstream) {
        let figures = view.figures.of(side).of(upstream);
        let row = self.rows.of(side).of(upstream);
        let well = figures.calls == 0 || figures.serves(99);
        row.set_style(style(if well {
            "{wide_msg}"
        } else {
            "{wide_msg:.yellow}"
        }));
        row.set_message(text(view, figures, side, upstream));
    }

    pub fn close(&self) {
        // A terminal that cannot be cleared keeps the last drawing.
        let _ = self.bars.clear();
    }
}

const HEADER: &str =
    "                         served  goodput      p50      p99   refused  breaker";

fn text(view: &View, figures: &Figures, side: Side, upstream: Upstream) -> String {
    let gateway = if upstream == Upstream::Inventory {
        side.name()
    } else {
        ""
    };
    let breaker = match side {
        Side::Protected => view.breakers.of(upstream).name(),
        Side::Bare => "none",
    };
    format!(
        "{gateway:10} {:10}{:>10} {:>8} {:>8} {:>8} {:>9}  {breaker}",
        upstream.name(),
        share(figures),
        view.per_second(figures.served),
        figures.p50.map_or_else(|| "–".into(), duration),
        figures.p99.map_or_else(|| "–".into(), duration),
        view.per_second(figures.refused),
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
