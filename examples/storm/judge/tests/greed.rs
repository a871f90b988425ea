use super::*;

fn verdicts(change: impl Fn(&mut PerSide<Greed>)) -> [Verdict; 2] {
    let mut run = good_run();
    change(&mut run.greed);
    super::super::greed::judge(&run).map(|bound| bound.verdict)
}

#[test]
fn a_greedy_client_within_its_limit_and_others_untouched_hold() {
    assert_eq!(verdicts(|_| ()), [Verdict::Held; 2]);
}

#[test]
fn one_call_of_another_over_its_limit_breaks_the_bound() {
    let [others, greedy] = verdicts(|greed| greed.protected.others_limited = 1);
    assert_eq!((others, greedy), (Verdict::Broken, Verdict::Held));
}

#[test]
fn a_call_more_than_the_limit_breaks_the_bound_and_so_does_no_limit_at_all() {
    // A burst of 30, and 5 a second for 7 seconds.
    let at = |limited| verdicts(|greed| greed.protected.limited = limited)[1];
    assert_eq!(at(635), Verdict::Held);
    assert_eq!(at(634), Verdict::Broken);
    let unlimited = verdicts(|greed| {
        greed.protected.calls = 10;
        greed.protected.limited = 0;
    });
    assert_eq!(
        unlimited[1],
        Verdict::Broken,
        "it asked for too little to prove anything"
    );
}

#[test]
fn a_run_cut_short_is_not_judged() {
    let run = run_with(Phase::Rush, |rush| rush.over = false);
    for bound in super::super::greed::judge(&run) {
        assert!(matches!(bound.verdict, Verdict::NotJudged(_)));
    }
}
