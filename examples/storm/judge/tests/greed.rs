//! The bounds on the client that asks for ten times its share.

use super::*;

/// What breaks, of a run in which nothing but that client's part is bad.
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

/// The good run in which the protected gateway lets in so many calls in one phase.
fn letting_in(hit: Phase, let_in: usize) -> Evidence {
    run_with(hit, |phase| {
        let greed = &mut phase.greed.protected;
        greed.limited = greed.calls - let_in;
    })
}

#[test]
fn one_call_of_another_that_is_limited_breaks_the_run_in_any_phase() {
    for hit in Phase::ALL {
        let run = run_with(hit, |phase| phase.greed.protected.others_limited = 1);
        let expected = [(Rule::OthersLimited, Span::Run)];
        assert_eq!(broken_by(&run), expected, "{hit:?}");
    }
}

#[test]
fn a_greedy_client_breaks_a_phase_beyond_its_burst_and_what_comes_with_the_time() {
    // 30, and 6 in each of 1.25 s.
    for hit in Phase::ALL.into_iter().filter(|phase| phase.has_greed()) {
        let run = letting_in(hit, 37);
        assert_eq!(
            verdict_of(&run, Rule::GreedyLetIn, hit.into()),
            Verdict::Held
        );
        let expected = (Rule::GreedyLetIn, Span::Phase(hit));
        assert!(broken_by(&letting_in(hit, 38)).contains(&expected));
    }
}

#[test]
fn a_burst_in_each_phase_breaks_the_whole_run() {
    // 36 and five times 6 in the good one; 30, and 6 in each of 6.25 s, are let in at most.
    for (let_in, breaks) in [(7, false), (8, true)] {
        let expected = if breaks {
            vec![(Rule::GreedyLetIn, Span::Run)]
        } else {
            vec![]
        };
        assert_eq!(broken_by(&letting_in(Phase::Rush, let_in)), expected);
    }
}

#[test]
fn a_protected_gateway_that_limits_nobody_breaks_every_bound_on_the_greedy_client() {
    let mut run = good_run();
    for phase in &mut run.phases {
        phase.greed.protected.limited = 0;
    }
    let broken = broken_by(&run);
    assert_eq!(broken.len(), 7, "{broken:?}");
    assert!(broken.iter().all(|(rule, _)| *rule == Rule::GreedyLetIn));
}

#[test]
fn a_greedy_client_that_asks_for_what_it_may_have_proves_nothing() {
    let mut run = good_run();
    for phase in &mut run.phases[1..] {
        (phase.greed.protected.calls, phase.greed.protected.limited) = (6, 0);
    }
    let too_little = Verdict::NotJudged("it asked for too little");
    assert_eq!(verdict_of(&run, Rule::GreedyLetIn, Span::Run), too_little);
    assert_eq!(
        verdict_of(&run, Rule::GreedyLetIn, Phase::Slow.into()),
        Verdict::Held
    );
    for phase in &mut run.phases {
        phase.greed.protected.calls = 0;
    }
    let none = Verdict::NotJudged("no call arrived");
    for span in [Span::Run, Phase::Slow.into()] {
        assert_eq!(verdict_of(&run, Rule::GreedyLetIn, span), none);
    }
}

#[test]
fn the_phases_that_a_cut_short_run_finished_are_judged() {
    let run = run_with(Phase::Rush, |rush| rush.over = false);
    let cut = Verdict::NotJudged("the run was cut short");
    assert_eq!(verdict_of(&run, Rule::OthersLimited, Span::Run), cut);
    assert_eq!(verdict_of(&run, Rule::GreedyLetIn, Span::Run), cut);
    let let_in = |phase: Phase| verdict_of(&run, Rule::GreedyLetIn, phase.into());
    assert_eq!(let_in(Phase::Rush), cut);
    assert_eq!(let_in(Phase::Back), Verdict::Held);
}
