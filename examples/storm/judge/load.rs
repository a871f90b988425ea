//! The bounds on the load that retries make: no more than their budget has promised.

use std::time::Duration;

use super::{Bound, Evidence, PhaseFigures, Rule, Span, Verdict};
use crate::attempts::Attempts;
use crate::stage::{PerSide, PerUpstream, Side, Upstream};
use crate::text::{amplification, hundredths};

/// What the budget lets go for each success, in percent.
const PERCENT: usize = 10;

/// A burst is what this much of the gateway's own calls would bring.
const HORIZON: Duration = Duration::from_secs(10);

/// The smallest burst, in retries.
const SMALLEST_BURST: f64 = 3.0;

/// Time alone brings a retry as often as this.
const FLOOR: Duration = Duration::from_secs(50);

/// What the bare gateway has to make of a payments in trouble for its load to prove anything: half
/// as much again, in hundredths. By the script it makes twice as much.
const AMPLIFIED: usize = 150;

/// Judges the load of a run, in its worst part and as a whole.
pub fn judge(evidence: &Evidence) -> impl Iterator<Item = Bound> + '_ {
    let spans = [Span::Failing, Span::Run].into_iter();
    let bounds = spans.flat_map(|span| Upstream::ALL.map(|upstream| (span, upstream)));
    bounds
        .map(|(span, upstream)| judge_load(evidence, span, upstream))
        .chain([judge_control(evidence)])
}

impl Evidence {
    /// The attempts of the calls that were due in `span`.
    pub fn attempts(&self, span: Span) -> PerSide<PerUpstream<Attempts>> {
        let of = |side, upstream| {
            let phases = self.during(span);
            let attempts = |phase: &PhaseFigures| phase.sides.of(side).of(upstream).attempts;
            phases.map(attempts).sum()
        };
        PerSide::from_fn(|side| PerUpstream::from_fn(|upstream| of(side, upstream)))
    }

    /// The amplification that the budget towards `upstream` allows in `span`, in hundredths.
    ///
    /// In any stretch of time retries are at most a tenth of what succeeds, and so of what is sent,
    /// plus a burst, plus one in 50 s. The burst is what the gateway's own calls of 10 s would bring,
    /// or of the run if that is younger, and 3 at least; we take the rate of the busiest phase so far.
    /// That a call may be sent again when the next phase has begun moves the bound by a thousandth.
    fn load_limit(&self, span: Span, upstream: Upstream) -> Option<usize> {
        let end = self.during(span).last()?.to;
        let of = |phase: &PhaseFigures| phase.sides.protected.of(upstream).attempts.first as f64;
        let length = |phase: &PhaseFigures| (phase.to - phase.from).as_secs_f64();
        let before_end = self.phases.iter().filter(|phase| phase.to <= end);
        let rates = before_end.map(|phase| of(phase) / length(phase));
        let own_rate = rates.fold(0.0, f64::max);
        let burst = own_rate * HORIZON.min(end).as_secs_f64() * PERCENT as f64 / 100.0;
        let time: f64 = self.during(span).map(length).sum();
        let beyond = burst.max(SMALLEST_BURST) + time / FLOOR.as_secs_f64();
        let sent: f64 = self.during(span).map(of).sum();
        (sent > 0.0).then(|| 100 + PERCENT + (100.0 * beyond / sent) as usize)
    }

    /// Why nothing can be said of the load in `span`, if so.
    fn load_unjudged(&self, span: Span, sides: [Attempts; 2]) -> Option<Verdict> {
        if self.during(span).any(|phase| !phase.over) {
            Some(Verdict::NotJudged("the run was cut short"))
        } else if sides.iter().any(|attempts| attempts.first == 0) {
            Some(Verdict::NotJudged("no call arrived"))
        } else {
            None
        }
    }
}

fn judge_load(evidence: &Evidence, span: Span, upstream: Upstream) -> Bound {
    let limit = evidence.load_limit(span, upstream);
    let rule = match upstream {
        Upstream::Inventory => Rule::InventoryLoad,
        Upstream::Payments => Rule::PaymentsLoad,
    };
    let stated = limit.map_or_else(|| "–".into(), |limit| format!("≤ {}", hundredths(limit)));
    bound(evidence, span, upstream, rule, stated, |[protected, _]| {
        protected.hundredths() <= limit
    })
}

/// The bare gateway has to make more of the trouble for the load to prove anything.
fn judge_control(evidence: &Evidence) -> Bound {
    let (span, upstream) = (Span::Failing, Upstream::Payments);
    let stated = format!("> {}", hundredths(AMPLIFIED));
    bound(
        evidence,
        span,
        upstream,
        Rule::LoadControl,
        stated,
        |[_, bare]| bare.hundredths() > Some(AMPLIFIED),
    )
}

/// A bound with the load on both sides, and its verdict if it can be judged.
fn bound(
    evidence: &Evidence,
    span: Span,
    upstream: Upstream,
    rule: Rule,
    limit: String,
    holds: impl FnOnce([Attempts; 2]) -> bool,
) -> Bound {
    let attempts = evidence.attempts(span);
    let sides = Side::ALL.map(|side| *attempts.of(side).of(upstream));
    let [protected, bare] = sides.map(amplification);
    let unjudged = evidence.load_unjudged(span, sides);
    Bound {
        rule,
        span,
        limit,
        protected,
        bare,
        verdict: unjudged.unwrap_or_else(|| Verdict::held_if(holds(sides))),
    }
}
