//! What is left of a run: `report.json` for programs, `report.html` for people.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::attempts::Attempts;
use crate::breakers::Transition;
use crate::figures::{Figures, Record};
use crate::gateway::plan::{Allowance, Plan};
use crate::judge::{
    Bound, Bounds, Evidence, Greed, PhaseFigures, Recovery, Rule, Span, Verdict, judge,
};
use crate::options::Options;
use crate::schedule::{Phase, Schedule};
use crate::stage::{PerClass, PerSide, PerUpstream};
use crate::text::{duration, share};
use crate::timeouts::{History, Timed};

mod attempts;
mod chart;
mod html;
pub mod millis;
mod panel;
#[cfg(test)]
mod tests;
mod tip;

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
    /// What became of the client that asks for ten times its share, and what it cost the others.
    pub greed: PerSide<Greed>,
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
        accepted: PerSide<Option<Duration>>,
        transitions: Vec<Transition>,
        timeouts: PerUpstream<History>,
        cut_short: Option<Duration>,
    ) -> Self {
        let schedule = options.schedule();
        let until = cut_short.unwrap_or(Duration::MAX).min(schedule.total());
        let allowance = options.plan().per_client;
        let evidence = evidence(record, schedule, &accepted, until, allowance);
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
            greed: evidence.greed,
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
    schedule: Schedule,
    accepted: &PerSide<Option<Duration>>,
    until: Duration,
    allowance: Allowance,
) -> Evidence {
    let phases = schedule.phases().map(|(phase, span)| PhaseFigures {
        phase,
        from: span.start,
        to: span.end,
        over: span.end <= until,
        sides: record.figures(span.clone()),
        classes: record.classes(span),
    });
    // From the rush on, calls to payments are lost for another reason.
    let rush = schedule.rush().start.min(until);
    let recovery = PerSide::from_fn(|side| {
        let accepted = *accepted.of(side);
        let served_again = accepted.and_then(|since| record.served_again(side, since, rush));
        Recovery {
            accepted,
            served_again,
        }
    });
    Evidence {
        phases: phases.collect(),
        recovery,
        open_time: schedule.open_time(),
        lateness_p99: record.lateness_p99(),
        greed: record.greed(),
        allowance,
    }
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

/// The result in a sentence or two.
fn headline(evidence: &Evidence, bounds: &[Bound], cut_short: Option<Duration>) -> String {
    let broken = bounds.iter().find(|bound| bound.verdict == Verdict::Broken);
    let over = |phase| evidence.of(phase).filter(|phase| phase.over);
    match (broken, over(Phase::Hanging), over(Phase::Rush)) {
        (Some(broken), ..) => what_broke(broken),
        (None, Some(hanging), rush) => outage(hanging) + &rush.map(rush_hour).unwrap_or_default(),
        (None, None, _) => {
            let after = duration(cut_short.unwrap_or_default());
            format!("Cut short after {after}, before anything was proved.")
        }
    }
}

fn what_broke(broken: &Bound) -> String {
    let Bound {
        rule,
        span,
        limit,
        protected,
        bare,
        ..
    } = broken;
    match rule {
        Rule::Control => format!(
            "The run proved nothing: the bare gateway, too, served {bare} of the calls to \
             inventory while payments hung.",
        ),
        Rule::Overrun => format!(
            "The run proved nothing: the protected gateway served {protected} of the calls in \
             the rush.",
        ),
        Rule::LoadControl => format!(
            "The run proved nothing: the bare gateway, too, sent payments only {bare} attempts for \
             each call.",
        ),
        _ => {
            let (rule, span) = (rule.name(), span.name());
            format!("A bound broke, {rule} in {span}: {protected}, not {limit} (bare: {bare}).")
        }
    }
}

fn outage(hanging: &PhaseFigures) -> String {
    format!(
        "While payments hung, the protected gateway served {} of the calls to inventory; \
         the bare one served {}.",
        share(&hanging.sides.protected.inventory),
        share(&hanging.sides.bare.inventory),
    )
}

fn rush_hour(rush: &PhaseFigures) -> String {
    format!(
        " In the rush it served {} of the checkouts; the bare one served {}.",
        share(&rush.classes.protected.checkout),
        share(&rush.classes.bare.checkout),
    )
}
