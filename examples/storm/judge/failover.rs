//! The bounds on fail-over: another level answers soon, and nobody who asks for what has a default goes
//! without an answer.
//!
//! In the rush the gateway turns calls away at its door, on purpose and before it asks anybody for them:
//! that is what the bounds of the rush are about.

use std::time::Duration;

use serde::Serialize;

use super::{Bound, Evidence, PhaseFigures, Rule, Span, Verdict};
use crate::figures::Figures;
use crate::report::millis;
use crate::schedule::Phase;
use crate::stage::{PerSide, Side, Upstream};
use crate::text::{after_exactly, count, duration};

/// The longest that it may take another level to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The phases in which payments answers nothing.
pub const WITHOUT_PAYMENTS: [Phase; 2] = [Phase::Hanging, Phase::Dead];

/// How soon another level has answered once payments did not.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FailOver {
    pub phase: Phase,
    /// From the instant payments was made to hang, or was killed, to the end of the first degraded answer to
    /// a call that was due after that.
    pub first_degraded: PerSide<FirstDegraded>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct FirstDegraded {
    #[serde(rename = "after_ms", serialize_with = "millis::serialize")]
    pub after: Option<Duration>,
}

/// Judges each fail-over, and what was left without an answer.
pub fn judge(evidence: &Evidence) -> impl Iterator<Item = Bound> + '_ {
    let failovers = evidence.failovers.iter();
    failovers
        .map(|failover| judge_first(evidence, failover))
        .chain([judge_unanswered(evidence)])
}

impl Evidence {
    /// Calls that were due in `span` and got no answer of any use.
    pub fn unanswered(&self, span: Span) -> PerSide<usize> {
        PerSide::from_fn(|side| self.sum(span, side, Figures::unanswered))
    }

    /// What the figures of both upstreams come to in `span`.
    fn sum(&self, span: Span, side: Side, of: fn(&Figures) -> usize) -> usize {
        let phases = self.during(span);
        let both = |phase: &PhaseFigures| {
            let figures = Upstream::ALL.map(|upstream| of(phase.sides.of(side).of(upstream)));
            figures.into_iter().sum::<usize>()
        };
        phases.map(both).sum()
    }
}

/// The bare gateway has no other level, so this breaks only by the protected one.
fn judge_first(evidence: &Evidence, failover: &FailOver) -> Bound {
    let PerSide { protected, bare } = failover.first_degraded;
    let span = Span::Phase(failover.phase);
    let judged = || Verdict::held_if(protected.after.is_some_and(|after| after <= LIMIT));
    Bound {
        rule: Rule::FailOver,
        span,
        limit: format!("≤ {}", duration(LIMIT)),
        protected: after_exactly(protected.after),
        bare: after_exactly(bare.after),
        verdict: unjudged(evidence, span).unwrap_or_else(judged),
    }
}

fn judge_unanswered(evidence: &Evidence) -> Bound {
    let span = Span::Outage;
    let PerSide { protected, bare } = evidence.unanswered(span);
    Bound {
        rule: Rule::Unanswered,
        span,
        limit: "0 calls".into(),
        protected: count(protected),
        bare: count(bare),
        verdict: unjudged(evidence, span).unwrap_or_else(|| Verdict::held_if(protected == 0)),
    }
}

fn unjudged(evidence: &Evidence, span: Span) -> Option<Verdict> {
    if evidence.during(span).any(|phase| !phase.over) {
        Some(Verdict::NotJudged("the run was cut short"))
    } else if evidence.sum(span, Side::Protected, |figures| figures.calls) == 0 {
        Some(Verdict::NotJudged("no call arrived"))
    } else {
        None
    }
}
