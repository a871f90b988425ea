//! The bounds on the client that asks for ten times its share: it gets what it may have, and the others
//! do not feel it.

use super::{Bound, Evidence, Rule, Span, Verdict};
use crate::gateway::plan::Allowance;
use crate::stage::{PerSide, Side};

/// What became of the calls of the greedy client, and what it cost the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Greed {
    /// Its calls.
    pub calls: usize,
    /// Those that the limit turned away.
    pub limited: usize,
    /// Those that were served.
    pub served: usize,
    /// Calls of all others that the limit turned away.
    pub others_limited: usize,
}

impl Greed {
    /// Its calls that got past the limit.
    pub const fn admitted(&self) -> usize {
        self.calls - self.limited
    }
}

/// Judges what the greedy client got in the whole run, and whether it was limited at all.
pub fn judge(evidence: &Evidence) -> [Bound; 2] {
    let PerSide { protected, bare } = &evidence.greed;
    let most = evidence.allowance.until(evidence.end());
    [
        bound(
            evidence,
            Rule::OthersLimited,
            "0 calls".into(),
            |greed| greed.others_limited,
            protected.others_limited == 0 && bare.others_limited == 0,
        ),
        bound(
            evidence,
            Rule::GreedyAdmitted,
            format!("≤ {most} of {} calls", protected.calls),
            Greed::admitted,
            protected.admitted() <= most && protected.limited > 0,
        ),
    ]
}

fn bound(
    evidence: &Evidence,
    rule: Rule,
    limit: String,
    count: impl Fn(&Greed) -> usize,
    held: bool,
) -> Bound {
    let [protected, bare] = Side::ALL.map(|side| count(evidence.greed.of(side)).to_string());
    let unjudged = if evidence.phases.iter().any(|phase| !phase.over) {
        Some(Verdict::NotJudged("the run was cut short"))
    } else if evidence.greed.protected.calls == 0 {
        Some(Verdict::NotJudged("no call arrived"))
    } else {
        None
    };
    Bound {
        rule,
        span: Span::Run,
        limit,
        protected,
        bare,
        verdict: unjudged.unwrap_or_else(|| Verdict::held_if(held)),
    }
}

impl Allowance {
    /// The most that a client can get within so long.
    fn until(self, end: std::time::Duration) -> usize {
        self.burst as usize + (f64::from(self.rate) * end.as_secs_f64()).ceil() as usize
    }
}
