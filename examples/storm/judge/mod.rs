//! Judges a run: which bounds held, which broke, and which could not be judged.

use std::time::Duration;

use serde::Serialize;

use crate::clients::Greed;
use crate::figures::Figures;
use crate::gateway::plan::Allowance;
use crate::report::millis;
use crate::schedule::Phase;
use crate::stage::{PerClass, PerSide, PerUpstream};
use crate::text::{after, duration, duration_or_none, share};

pub mod failover;
mod greed;
mod load;
mod rule;
mod rush;
mod span;
#[cfg(test)]
mod tests;

pub use failover::FailOver;
pub use rule::Rule;
pub use span::Span;

/// A generator later than this tells more of the machine than of the gateways.
pub const LATENESS_LIMIT: Duration = Duration::from_millis(20);

/// Which bounds are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Bounds {
    /// Every bound
    #[default]
    All,
    /// Shares, recovery, load, fail-over and controls; no latencies
    Shares,
}

/// Everything a run is judged by.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub phases: Vec<PhaseFigures>,
    pub recovery: PerSide<Recovery>,
    /// Of each phase in which payments answered nothing.
    pub failovers: Vec<FailOver>,
    /// How long a breaker stays open, and how long a probe may take.
    pub open_time: Duration,
    pub lateness_p99: Duration,
    /// What each client may have.
    pub allowance: Allowance,
}

/// One phase and what became of its calls.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseFigures {
    pub phase: Phase,
    #[serde(rename = "from_ms", serialize_with = "millis::serialize")]
    pub from: Duration,
    #[serde(rename = "to_ms", serialize_with = "millis::serialize")]
    pub to: Duration,
    /// Whether the run went on to the end of it.
    pub over: bool,
    #[serde(flatten)]
    pub sides: PerSide<PerUpstream<Figures>>,
    /// The same calls, told apart by what they were about.
    pub classes: PerSide<PerClass<Figures>>,
    pub greed: PerSide<Greed>,
}

/// How payments came back.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Recovery {
    /// When its port accepted again, counted from the start of the run.
    #[serde(rename = "accepted_ms", serialize_with = "millis::serialize")]
    pub accepted: Option<Duration>,
    /// How long after that its callers were served again.
    #[serde(rename = "served_again_after_ms", serialize_with = "millis::serialize")]
    pub served_again: Option<Duration>,
}

/// One bound with what was measured on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct Bound {
    pub rule: Rule,
    #[serde(rename = "phase")]
    pub span: Span,
    pub limit: String,
    pub protected: String,
    pub bare: String,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Held,
    Broken,
    NotJudged(&'static str),
}

impl Verdict {
    const fn held_if(held: bool) -> Self {
        if held { Self::Held } else { Self::Broken }
    }
}

/// Judges every bound: those of an outage, of the rush, of the load, of the greedy client, and of fail-over.
pub fn judge(evidence: &Evidence, bounds: Bounds) -> Vec<Bound> {
    let outage = evidence
        .phases
        .iter()
        .filter(|phase| phase.phase != Phase::Rush);
    let shares = outage.clone().map(judge_share);
    let latencies = outage.map(|phase| judge_latency(evidence, phase, bounds));
    let recovery = evidence
        .of(Phase::Back)
        .map(|back| judge_recovery(evidence, back));
    let control = evidence.of(Phase::Hanging).map(judge_control);
    let rush = evidence.of(Phase::Rush);
    let rush = rush.map(|rush| rush::judge(evidence, rush, bounds));
    shares
        .chain(latencies)
        .chain(recovery)
        .chain(control)
        .chain(rush.into_iter().flatten())
        .chain(load::judge(evidence))
        .chain(greed::judge(evidence))
        .chain(failover::judge(evidence))
        .collect()
}

impl Evidence {
    pub fn of(&self, phase: Phase) -> Option<&PhaseFigures> {
        self.phases.iter().find(|figures| figures.phase == phase)
    }

    /// The phases that belong to `span`.
    fn during(&self, span: Span) -> impl Iterator<Item = &PhaseFigures> {
        let phases = self.phases.iter();
        phases.filter(move |phase| span.holds(phase.phase))
    }

    /// The longest that payments may take to be served again: the jittered open time, one round of
    /// probes, and two seconds for everything else.
    pub fn recovery_limit(&self) -> Duration {
        self.open_time.mul_f64(1.2) + self.open_time + Duration::from_secs(2)
    }

    /// The longest that inventory's p99 may be in any phase, by its p99 of the calm one.
    pub fn latency_limit(&self) -> Option<Duration> {
        let calm = self.of(Phase::Calm)?;
        calm.latency_limit(&calm.sides.protected.inventory)
    }

    /// The longest that checkout's p99 may be in the rush, by its p99 of the calm phase.
    pub fn checkout_limit(&self) -> Option<Duration> {
        let calm = self.of(Phase::Calm)?;
        calm.latency_limit(&calm.classes.protected.checkout)
    }

    /// Why nothing can be said of latencies, if so.
    fn latencies_unjudged(&self, bounds: Bounds) -> Option<Verdict> {
        if bounds == Bounds::Shares {
            Some(Verdict::NotJudged("only shares are"))
        } else if self.lateness_p99 > LATENESS_LIMIT {
            Some(Verdict::NotJudged("the machine was too busy"))
        } else {
            None
        }
    }
}

impl PhaseFigures {
    /// Inventory through the protected gateway and through the bare one.
    const fn inventory(&self) -> [&Figures; 2] {
        [&self.sides.protected.inventory, &self.sides.bare.inventory]
    }

    /// The longest that a p99 may be in another phase, by the `figures` of this calm one.
    fn latency_limit(&self, figures: &Figures) -> Option<Duration> {
        let p99 = figures.p99.filter(|_| self.over)?;
        Some(p99 * 3 + Duration::from_millis(50))
    }

    /// Why nothing can be said of these figures of the phase, if so.
    fn unjudged(&self, figures: [&Figures; 2]) -> Option<Verdict> {
        if !self.over {
            Some(Verdict::NotJudged("the run was cut short"))
        } else if figures.iter().any(|figures| figures.calls == 0) {
            Some(Verdict::NotJudged("no call arrived"))
        } else {
            None
        }
    }
}

/// The share is the one that there was without the noise of inventory. One call in twenty needs a
/// retry, and the budget has two of them: a tenth for each success. And one call in 160 000 fails
/// four times.
fn judge_share(phase: &PhaseFigures) -> Bound {
    let [protected, bare] = phase.inventory();
    let excused = match phase.phase {
        Phase::Calm => COLD_START,
        _ => 0,
    };
    let judged = || Verdict::held_if(!loses_too_much(protected, excused));
    Bound {
        rule: Rule::Share,
        span: phase.phase.into(),
        limit: "≥ 99.9 %".into(),
        protected: share(protected),
        bare: share(bare),
        verdict: phase.unjudged([protected, bare]).unwrap_or_else(judged),
    }
}

/// A budget begins with three retries, and may have twenty a second later. When chance lets more calls
/// fail among the first few, some are lost: simulated for 200 calls/s and 4000 seeds, the calm phase of
/// 3 s loses two or more in one run of 35, five or more in one of 800.
const COLD_START: usize = 3;

/// One call in a thousand may be lost, one more, and those excused; one beyond that breaks the share.
const fn loses_too_much(figures: &Figures, excused: usize) -> bool {
    figures.lost() >= figures.calls / 1_000 + 2 + excused
}

fn judge_latency(evidence: &Evidence, phase: &PhaseFigures, bounds: Bounds) -> Bound {
    let [protected, bare] = phase.inventory();
    let limit = evidence.latency_limit();
    let unjudged = evidence
        .latencies_unjudged(bounds)
        .or_else(|| phase.unjudged([protected, bare]));
    let judged = || Verdict::held_if(protected.p99 <= limit);
    Bound {
        rule: Rule::Latency,
        span: phase.phase.into(),
        limit: at_most(limit),
        protected: duration_or_none(protected.p99),
        bare: duration_or_none(bare.p99),
        verdict: unjudged.unwrap_or_else(judged),
    }
}

fn at_most(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "–".into(), |limit| format!("≤ {}", duration(limit)))
}

fn judge_recovery(evidence: &Evidence, back: &PhaseFigures) -> Bound {
    let limit = evidence.recovery_limit();
    let PerSide { protected, bare } = evidence.recovery;
    let judged = || Verdict::held_if(protected.served_again.is_some_and(|after| after <= limit));
    Bound {
        rule: Rule::Recovery,
        span: Phase::Back.into(),
        limit: format!("≤ {}", duration(limit)),
        protected: after(protected.served_again),
        bare: after(bare.served_again),
        verdict: back.unjudged(back.inventory()).unwrap_or_else(judged),
    }
}

/// The bare gateway has to fall for a run to prove anything.
fn judge_control(hanging: &PhaseFigures) -> Bound {
    let [protected, bare] = hanging.inventory();
    Bound {
        rule: Rule::Control,
        span: Phase::Hanging.into(),
        limit: "< 99 %".into(),
        protected: share(protected),
        bare: share(bare),
        verdict: hanging
            .unjudged([protected, bare])
            .unwrap_or_else(|| Verdict::held_if(!bare.serves(99))),
    }
}
