//! The result of a run in a sentence or two.

use std::time::Duration;

use crate::judge::{Bound, Evidence, PhaseFigures, Rule, Verdict};
use crate::schedule::Phase;
use crate::text::{duration, share};

/// What a stranger is to know first: what broke, or what the run has shown.
pub fn headline(evidence: &Evidence, bounds: &[Bound], cut_short: Option<Duration>) -> String {
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
