//! The bounds on the client that asks for ten times its share: it gets what it may have, and nobody else is
//! turned away for it.
//!
//! That the others feel nothing of it in other ways is what all other bounds say: it is there from the
//! end of the calm phase, by which they go, and its calls are in none of their figures.

use std::time::Duration;

use super::{Bound, Evidence, Rule, Span, Verdict};
use crate::clients::Greed;
use crate::stage::{PerSide, Side};
use crate::text::count;

/// A call belongs to the phase in which it was due, and may be let in a moment after that is over: by then
/// its client may have a little more.
const MOMENT: Duration = Duration::from_millis(250);

/// Judges what the greedy client got in each phase and in all, and what it cost the others.
pub fn judge(evidence: &Evidence) -> impl Iterator<Item = Bound> + '_ {
    let with_greed = evidence.phases.iter().map(|phase| phase.phase);
    let phases = with_greed.filter(|phase| phase.has_greed());
    let spans = phases.map(Span::Phase).chain([Span::Run]);
    let let_in = spans.map(|span| judge_let_in(evidence, span));
    [judge_others(evidence)].into_iter().chain(let_in)
}

impl Evidence {
    /// What became of the calls of the greedy client that were due in `span`.
    pub fn greed(&self, span: Span) -> PerSide<Greed> {
        PerSide::from_fn(|side| {
            let phases = self.during(span);
            phases.map(|phase| *phase.greed.of(side)).sum()
        })
    }

    /// The most that a client may get while the greedy one is there in `span`: what it may have at once,
    /// and what comes with the time. In any stretch it is no more than that, wherever it begins.
    pub fn most_let_in(&self, span: Span) -> usize {
        let greedy = self.during(span).filter(|phase| phase.phase.has_greed());
        let time: Duration = greedy.map(|phase| phase.to - phase.from).sum();
        self.allowance.within(time + MOMENT)
    }
}

/// The bare gateway has no such limit, so this breaks only by the protected one.
fn judge_others(evidence: &Evidence) -> Bound {
    let greed = evidence.greed(Span::Run);
    let [protected, bare] = Side::ALL.map(|side| count(greed.of(side).others_limited));
    let judged = || Verdict::held_if(greed.protected.others_limited == 0);
    Bound {
        rule: Rule::OthersLimited,
        span: Span::Run,
        limit: "0 calls".into(),
        protected,
        bare,
        verdict: cut_short(evidence, Span::Run).unwrap_or_else(judged),
    }
}

fn judge_let_in(evidence: &Evidence, span: Span) -> Bound {
    let greed = evidence.greed(span);
    let most = evidence.most_let_in(span);
    let [protected, bare] = Side::ALL.map(|side| of_its_calls(greed.of(side)));
    let judged = || match (span, greed.protected) {
        (_, Greed { calls: 0, .. }) => Verdict::NotJudged("no call arrived"),
        // Then nothing was seen of a limit.
        (Span::Run, Greed { calls, .. }) if calls <= most => {
            Verdict::NotJudged("it asked for too little")
        }
        (_, greed) => Verdict::held_if(greed.let_in() <= most),
    };
    Bound {
        rule: Rule::GreedyLetIn,
        span,
        limit: format!("≤ {} calls", count(most)),
        protected,
        bare,
        verdict: cut_short(evidence, span).unwrap_or_else(judged),
    }
}

fn of_its_calls(greed: &Greed) -> String {
    format!("{} of {}", count(greed.let_in()), count(greed.calls))
}

fn cut_short(evidence: &Evidence, span: Span) -> Option<Verdict> {
    let cut_short = evidence.during(span).any(|phase| !phase.over);
    cut_short.then_some(Verdict::NotJudged("the run was cut short"))
}
