//! The bounds on fail-over, and on calls without any answer.

use super::*;
use crate::levels::Degraded;
use crate::stage::Side;

fn broken_by(run: &Evidence) -> Vec<(Rule, Span)> {
    let all = judge(run, Bounds::Shares).into_iter();
    all.filter(|bound| bound.verdict == Verdict::Broken)
        .map(|bound| (bound.rule, bound.span))
        .collect()
}

fn verdict_of(run: &Evidence, rule: Rule, span: Span) -> Verdict {
    let all = judge(run, Bounds::Shares).into_iter();
    let mut its = all.filter(|bound| bound.rule == rule && bound.span == span);
    its.next().unwrap().verdict
}

/// The good run in which the first degraded answer came so late.
fn failing_over(hit: Phase, after: Option<Duration>) -> Evidence {
    let mut run = good_run();
    for failover in run.failovers.iter_mut().filter(|of| of.phase == hit) {
        failover.first_degraded.protected.after = after;
    }
    run
}

#[test]
fn a_fail_over_breaks_when_it_is_late_or_does_not_come() {
    let table = [
        (Some(ms(10_000)), false),
        (Some(ms(10_001)), true),
        (None, true),
    ];
    for hit in crate::judge::failover::WITHOUT_PAYMENTS {
        for (after, breaks) in table {
            let broken = broken_by(&failing_over(hit, after));
            let expected = if breaks {
                vec![(Rule::FailOver, Span::Phase(hit))]
            } else {
                vec![]
            };
            assert_eq!(broken, expected, "{after:?} in {hit:?}");
        }
    }
}

#[test]
fn one_call_without_an_answer_breaks_the_run_in_any_phase_before_the_rush() {
    for hit in Phase::ALL {
        let run = run_with(hit, |phase| {
            phase.sides.protected.payments.calls += 1;
            phase.sides.protected.payments.failed += 1;
        });
        let expected = if hit == Phase::Rush {
            vec![]
        } else {
            vec![(Rule::Unanswered, Span::Outage)]
        };
        assert_eq!(broken_by(&run), expected, "{hit:?}");
    }
}

#[test]
fn a_degraded_answer_is_one_and_no_success() {
    let run = run_with(Phase::Dead, |phase| {
        let inventory = &mut phase.sides.protected.inventory;
        inventory.served = 0;
        inventory.degraded = Degraded {
            default: inventory.calls,
            ..Degraded::default()
        };
    });
    assert_eq!(
        broken_by(&run),
        [(Rule::Share, Span::Phase(Phase::Dead))],
        "the bound on success stays on what is served"
    );
}

#[test]
fn the_bare_gateway_may_leave_everybody_without_an_answer() {
    let run = good_run();
    assert!(run.unanswered(Span::Outage).of(Side::Bare) > &0);
    assert_eq!(broken_by(&run), []);
}

#[test]
fn a_fail_over_is_judged_when_its_phase_is_over() {
    let run = run_with(Phase::Dead, |dead| dead.over = false);
    let cut = Verdict::NotJudged("the run was cut short");
    let of = |phase: Phase| verdict_of(&run, Rule::FailOver, phase.into());
    assert_eq!((of(Phase::Hanging), of(Phase::Dead)), (Verdict::Held, cut));
    assert_eq!(verdict_of(&run, Rule::Unanswered, Span::Outage), cut);
}
