//! The bounds of the rush: checkouts come through it, nobody starves, and it is one.
//!
//! Inventory and payments have none there: half of the calls cannot be served, whoever asks.

use super::{Bound, Bounds, Evidence, PhaseFigures, Rule, Verdict, at_most, loses_too_much};
use crate::figures::Figures;
use crate::stage::{PerClass, PerSide, Side};
use crate::text::{duration_or_none, percent, share};

/// What browse gets of the answers at least, in percent: its guaranteed share of the grants is 5.
const BROWSE_PERCENT: usize = 4;

/// A gateway that serves this much was not overrun, in percent; by the plan it serves half.
const OVERRUN_PERCENT: usize = 75;

/// Judges the rush of a run.
pub fn judge(evidence: &Evidence, rush: &PhaseFigures, bounds: Bounds) -> [Bound; 4] {
    [
        judge_checkout(rush),
        judge_latency(evidence, rush, bounds),
        judge_browse(rush),
        judge_control(rush),
    ]
}

fn judge_checkout(rush: &PhaseFigures) -> Bound {
    let PerSide { protected, bare } = &rush.classes;
    bound(
        rush,
        Rule::CheckoutShare,
        "≥ 99.9 %".into(),
        [share(&protected.checkout), share(&bare.checkout)],
        || Verdict::held_if(!loses_too_much(&protected.checkout, 0)),
    )
}

fn judge_latency(evidence: &Evidence, rush: &PhaseFigures, bounds: Bounds) -> Bound {
    let PerSide { protected, bare } = &rush.classes;
    let p99 = [protected.checkout.p99, bare.checkout.p99];
    let limit = evidence.checkout_limit();
    let judged = || match (evidence.latencies_unjudged(bounds), limit) {
        (Some(unjudged), _) => unjudged,
        (None, None) => Verdict::NotJudged("no call arrived"),
        (None, limit) => Verdict::held_if(p99[0] <= limit),
    };
    bound(
        rush,
        Rule::CheckoutLatency,
        at_most(limit),
        p99.map(duration_or_none),
        judged,
    )
}

fn judge_browse(rush: &PhaseFigures) -> Bound {
    let PerSide { protected, bare } = &rush.classes;
    let of_answers = |side: &PerClass<Figures>| percent(side.browse.served, side.total().served);
    let (browse, answers) = (protected.browse.served, protected.total().served);
    bound(
        rush,
        Rule::BrowseShare,
        format!("≥ {BROWSE_PERCENT} %"),
        [of_answers(protected), of_answers(bare)],
        || Verdict::held_if(browse > 0 && browse * 100 >= answers * BROWSE_PERCENT),
    )
}

/// The gateway has to be overrun for the rush to prove anything.
fn judge_control(rush: &PhaseFigures) -> Bound {
    let [protected, bare] = Side::ALL.map(|side| rush.classes.of(side).total());
    bound(
        rush,
        Rule::Overrun,
        format!("< {OVERRUN_PERCENT} %"),
        [&protected, &bare].map(|all| percent(all.served, all.calls)),
        || Verdict::held_if(!protected.serves(OVERRUN_PERCENT)),
    )
}

/// A bound with what was measured on both sides, and its verdict if the rush can be judged.
fn bound(
    rush: &PhaseFigures,
    rule: Rule,
    limit: String,
    [protected, bare]: [String; 2],
    judged: impl FnOnce() -> Verdict,
) -> Bound {
    Bound {
        rule,
        span: rush.phase.into(),
        limit,
        protected,
        bare,
        verdict: unjudged(rush).unwrap_or_else(judged),
    }
}

fn unjudged(rush: &PhaseFigures) -> Option<Verdict> {
    let PerSide { protected, bare } = &rush.classes;
    rush.unjudged([&protected.checkout, &bare.checkout])
        .or_else(|| rush.unjudged([&protected.browse, &bare.browse]))
}
