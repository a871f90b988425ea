//! What is left of a run: `report.json` for programs, `report.html` for people.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::attempts::Attempts;
use crate::breakers::Transition;
use crate::clients::Greed;
use crate::figures::{Figures, Record};
use crate::gateway::plan::Plan;
use crate::judge::failover::{FailOver, FirstDegraded, WITHOUT_PAYMENTS};
use crate::judge::{Bound, Bounds, Evidence, PhaseFigures, Recovery, Span, Verdict, judge};
use crate::options::Options;
use crate::schedule::{Phase, Schedule};
use crate::stage::{PerClass, PerSide, PerUpstream};
use crate::text::duration;
use crate::timeouts::{History, Timed};

mod attempts;
mod chart;
pub mod greed;
mod headline;
mod html;
pub mod levels;
pub mod millis;
mod panel;
#[cfg(test)]
mod tests;
mod tip;

use headline::headline;

/// How many slices a timeline has at most, and how thin they may be.
const MOST_SLICES: u32 = 80;
const THINNEST_SLICE: Duration = Duration::from_millis(250);

/// A whole run in figures.
#[derive(Debug, Serialize)]
pub struct Report {
    pub headline: String,
    pub result: Outcome,
    pub settings: Settings,
    /// When the run was stopped by hand, if it was.
    #[serde(rename = "cut_short_after_ms", serialize_with = "millis::serialize")]
    pub cut_short: Option<Duration>,
    #[serde(
        rename = "generator_lateness_p99_ms",
        serialize_with = "millis::serialize"
    )]
    pub lateness_p99: Duration,
    pub bounds: Vec<Bound>,
    pub phases: Vec<PhaseFigures>,
    pub load: Load,
    pub recovery: PerSide<Recovery>,
    /// How soon another level answered, each time payments stopped to.
    pub failovers: Vec<FailOver>,
    /// Calls before the rush that got no answer, not even a degraded one.
    pub unanswered: PerSide<usize>,
    /// What became of the client that asks for ten times its share, in the whole run.
    pub greed: PerSide<Greed>,
    /// What became of the others’ calls to inventory without it, and with it.
    pub others: Others,
    #[serde(rename = "breaker_transitions")]
    pub transitions: Vec<Transition>,
    /// Of the protected gateway, as is what its slices say of them.
    pub timeouts: PerUpstream<History>,
    pub timeline: Vec<Slice>,
    #[serde(skip)]
    evidence: Evidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Held,
    Broken,
}

/// What repeats the run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    pub seconds: u32,
    pub rate: u32,
    pub seed: u64,
    pub bounds: Bounds,
    #[serde(flatten)]
    pub plan: Plan,
}

/// What retries made of the calls, in the worst part of the run and in all of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    pub failing: PerSide<PerUpstream<Attempts>>,
    pub run: PerSide<PerUpstream<Attempts>>,
}

impl Load {
    /// Both, each with its part of the run.
    pub const fn each(&self) -> [(Span, PerSide<PerUpstream<Attempts>>); 2] {
        [(Span::Failing, self.failing), (Span::Run, self.run)]
    }
}

/// Calls to inventory, which is as well as ever until the rush: through it the protected gateway shows
/// whether others feel a client that asks for too much.
#[derive(Clone, Debug, Serialize)]
pub struct Others {
    /// In the calm phase, before the greedy client comes.
    pub without_greed: Figures,
    /// From then on, until the rush.
    pub with_greed: Figures,
}

impl Others {
    fn of(record: &Record, schedule: Schedule) -> Self {
        let (from, to) = (schedule.greed().start, schedule.rush().start);
        let inventory = |span| record.figures(span).protected.inventory;
        Self {
            without_greed: inventory(Duration::ZERO..from),
            with_greed: inventory(from..to),
        }
    }
}

/// When payments behind one of the gateways turned, counted from the start of the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turned {
    /// It answers nothing from then on.
    pub hanging: Option<Duration>,
    /// It was killed.
    pub dead: Option<Duration>,
    /// Its port accepts again.
    pub back: Option<Duration>,
}

/// A short part of the run.
#[derive(Clone, Debug, Serialize)]
pub struct Slice {
    #[serde(rename = "from_ms", serialize_with = "millis::serialize")]
    pub from: Duration,
    #[serde(rename = "to_ms", serialize_with = "millis::serialize")]
    pub to: Duration,
    #[serde(flatten)]
    pub sides: PerSide<PerUpstream<Figures>>,
    pub classes: PerSide<PerClass<Figures>>,
    pub timeouts: PerUpstream<Timed>,
}

impl Report {
    pub fn new(
        options: &Options,
        record: &Record,
        turned: &PerSide<Turned>,
        transitions: Vec<Transition>,
        timeouts: PerUpstream<History>,
        cut_short: Option<Duration>,
    ) -> Self {
        let schedule = options.schedule();
        let until = cut_short.unwrap_or(Duration::MAX).min(schedule.total());
        let evidence = evidence(record, options, turned, until);
        let bounds = judge(&evidence, options.bounds);
        let broken = bounds.iter().any(|bound| bound.verdict == Verdict::Broken);
        Self {
            headline: headline(&evidence, &bounds, cut_short),
            result: if broken {
                Outcome::Broken
            } else {
                Outcome::Held
            },
            settings: Settings::of(options),
            cut_short,
            lateness_p99: evidence.lateness_p99,
            bounds,
            phases: reached(&evidence, until),
            load: Load {
                failing: evidence.attempts(Span::Failing),
                run: evidence.attempts(Span::Run),
            },
            recovery: evidence.recovery,
            failovers: evidence.failovers.clone(),
            unanswered: evidence.unanswered(Span::Outage),
            greed: evidence.greed(Span::Run),
            others: Others::of(record, schedule),
            transitions,
            timeline: timeline(record, &timeouts, schedule, until),
            timeouts,
            evidence,
        }
    }

    pub fn lateness(&self) -> String {
        duration(self.lateness_p99)
    }

    /// Writes both files into `folder`, which is made if need be.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let write = |name, text| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        write("report.json", serde_json::to_string_pretty(self)? + "\n")?;
        write("report.html", html::page(self))
    }
}

impl Settings {
    fn of(options: &Options) -> Self {
        let Options {
            seconds,
            rate,
            seed,
            bounds,
            ..
        } = *options;
        Self {
            seconds,
            rate,
            seed,
            bounds,
            plan: options.plan(),
        }
    }
}

fn evidence(
    record: &Record,
    options: &Options,
    turned: &PerSide<Turned>,
    until: Duration,
) -> Evidence {
    let schedule = options.schedule();
    let phases = schedule.phases().map(|(phase, span)| PhaseFigures {
        phase,
        from: span.start,
        to: span.end,
        over: span.end <= until,
        sides: record.figures(span.clone()),
        classes: record.classes(span.clone()),
        greed: record.greed(span),
    });
    // From the rush on, calls to payments are lost for another reason.
    let rush = schedule.rush().start.min(until);
    let recovery = PerSide::from_fn(|side| {
        let accepted = turned.of(side).back;
        let served_again = accepted.and_then(|since| record.served_again(side, since, rush));
        Recovery {
            accepted,
            served_again,
        }
    });
    Evidence {
        phases: phases.collect(),
        recovery,
        failovers: failovers(record, schedule, turned, until),
        open_time: schedule.open_time(),
        lateness_p99: record.lateness_p99(),
        allowance: options.plan().per_client,
    }
}

/// Looks for the first degraded answer in each phase in which payments answers nothing.
fn failovers(
    record: &Record,
    schedule: Schedule,
    turned: &PerSide<Turned>,
    until: Duration,
) -> Vec<FailOver> {
    let of = |(phase, span): (Phase, Range<Duration>)| {
        let began = |side| match phase {
            Phase::Hanging => turned.of(side).hanging,
            _ => turned.of(side).dead,
        };
        let first_degraded = PerSide::from_fn(|side| FirstDegraded {
            after: began(side)
                .and_then(|since| record.first_degraded(side, since, span.end.min(until))),
        });
        FailOver {
            phase,
            first_degraded,
        }
    };
    let phases = schedule.phases();
    let without = phases.filter(|(phase, _)| WITHOUT_PAYMENTS.contains(phase));
    without.map(of).collect()
}

/// The phases that began, the last of them as far as it went.
fn reached(evidence: &Evidence, until: Duration) -> Vec<PhaseFigures> {
    let begun = evidence.phases.iter().filter(|phase| phase.from < until);
    let cut = |phase: &PhaseFigures| PhaseFigures {
        to: phase.to.min(until),
        ..phase.clone()
    };
    begun.map(cut).collect()
}

/// Cuts the run into slices: fine enough to see a phase begin, few enough to be drawn.
fn timeline(
    record: &Record,
    timeouts: &PerUpstream<History>,
    schedule: Schedule,
    until: Duration,
) -> Vec<Slice> {
    let width = (schedule.total() / MOST_SLICES).max(THINNEST_SLICE);
    let starts = (0_u32..)
        .map(|n| width * n)
        .take_while(|from| *from < until);
    let slice = |from: Duration| Slice {
        from,
        to: (from + width).min(until),
        sides: record.figures(from..from + width),
        classes: record.classes(from..from + width),
        timeouts: PerUpstream::from_fn(|upstream| timeouts.of(upstream).timed(from..from + width)),
    };
    starts.map(slice).collect()
}
