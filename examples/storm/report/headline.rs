//! The result of a run in a sentence or two.

use std::time::Duration;

use crate::judge::{Bound, Evidence, PhaseFigures, Rule, Verdict};
use crate::schedule::Phase;
use crate::stage::Side;
use crate::text::{duration, percent, share};

/// What a stranger is to know first: what broke, or what the run has shown.
pub fn headline(evidence: &Evidence, bounds: &[Bound], cut_short: Option<Duration>) -> String {
    let broken = bounds.iter().find(|bound| bound.verdict == Verdict::Broken);
    let over = |phase| evidence.of(phase).filter(|phase| phase.over);
    let told = |phase, tell: fn(&PhaseFigures) -> String| over(phase).map(tell).unwrap_or_default();
    match (broken, over(Phase::Hanging)) {
        (Some(broken), _) => what_broke(broken),
        (None, Some(hanging)) => {
            outage(hanging) + &told(Phase::Dead, killed) + &told(Phase::Rush, rush_hour)
        }
        (None, None) => {
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

/// Whoever asked for payments when it was dead was answered with less than that, or not at all.
fn killed(dead: &PhaseFigures) -> String {
    let answered = |side| {
        let payments = &dead.sides.of(side).payments;
        percent(payments.calls - payments.unanswered(), payments.calls)
    };
    format!(
        " Once payments was killed, {} of its calls got a degraded answer; of the bare one’s, {}.",
        answered(Side::Protected),
        answered(Side::Bare),
    )
}

fn rush_hour(rush: &PhaseFigures) -> String {
    format!(
        " In the rush the protected one served {} of the checkouts; the bare one served {}.",
        share(&rush.classes.protected.checkout),
        share(&rush.classes.bare.checkout),
    )
}
