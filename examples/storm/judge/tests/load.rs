//! The bounds on the load that retries make.

use super::*;
use crate::stage::{Side, Upstream};

/// What breaks of a run, of which nothing but its load is bad.
fn broken_loads(run: &Evidence) -> Vec<(Rule, Span)> {
    let all = judge(run, Bounds::Shares).into_iter();
    all.filter(|bound| bound.verdict == Verdict::Broken)
        .map(|bound| (bound.rule, bound.span))
        .collect()
}

fn attempts(phase: &mut PhaseFigures, side: Side, upstream: Upstream) -> &mut Attempts {
    let side = match side {
        Side::Protected => &mut phase.sides.protected,
        Side::Bare => &mut phase.sides.bare,
    };
    match upstream {
        Upstream::Inventory => &mut side.inventory.attempts,
        Upstream::Payments => &mut side.payments.attempts,
    }
}

/// The good run in which the protected gateway has sent so many calls again in one phase.
fn with_retries(hit: Phase, upstream: Upstream, retries: usize) -> Evidence {
    run_with(hit, |phase| {
        attempts(phase, Side::Protected, upstream).all += retries;
    })
}

#[test]
fn a_load_breaks_beyond_a_tenth_and_a_burst_and_one_in_fifty_seconds() {
    // 4 000 calls from slow to dead, of 5 s by then: 400 + 500 + 0.08, in whole hundredths 880.
    // 7 000 calls in the whole run of 7 s: 700 + 700 + 0.14, in whole hundredths 1 400.
    let table = [
        (Phase::Dead, 880, None),
        (Phase::Dead, 881, Some(Span::Failing)),
        (Phase::Back, 1_400, None),
        (Phase::Back, 1_401, Some(Span::Run)),
    ];
    for (hit, retries, breaks) in table {
        for (upstream, rule) in [
            (Upstream::Inventory, Rule::InventoryLoad),
            (Upstream::Payments, Rule::PaymentsLoad),
        ] {
            let run = with_retries(hit, upstream, retries);
            let expected: Vec<_> = breaks.map(|span| (rule, span)).into_iter().collect();
            assert_eq!(broken_loads(&run), expected, "{retries} in {hit:?}");
        }
    }
}

/// The good run in which so few calls arrive.
fn with_calls(calls: usize) -> Evidence {
    let mut run = good_run();
    for phase in &mut run.phases {
        for upstream in Upstream::ALL {
            let (first, all) = (calls, calls);
            *attempts(phase, Side::Protected, upstream) = Attempts { first, all };
        }
    }
    run
}

#[test]
fn three_retries_are_allowed_to_whoever_calls_little() {
    // 20 calls from slow to dead: 2 + 3 + 0.08.
    for (retries, breaks) in [(5, false), (6, true)] {
        let mut run = with_calls(5);
        attempts(&mut run.phases[4], Side::Protected, Upstream::Payments).all += retries;
        let broken = broken_loads(&run);
        assert_eq!(
            broken.contains(&(Rule::PaymentsLoad, Span::Failing)),
            breaks,
            "{broken:?}"
        );
    }
}

#[test]
fn the_burst_is_that_of_ten_seconds_however_long_the_run() {
    // Ten times as long, a hundred calls a second: 4 000 calls from slow to dead, 400 + 100 + 0.8.
    let mut run = good_run();
    for phase in &mut run.phases {
        (phase.from, phase.to) = (phase.from * 10, phase.to * 10);
    }
    for (retries, breaks) in [(480, false), (481, true)] {
        attempts(&mut run.phases[4], Side::Protected, Upstream::Payments).all = 1_000 + retries;
        let expected = if breaks {
            vec![(Rule::PaymentsLoad, Span::Failing)]
        } else {
            vec![]
        };
        assert_eq!(broken_loads(&run), expected, "{retries} retries");
    }
}

#[test]
fn bare_retries_that_make_little_of_the_trouble_prove_nothing() {
    // Of the 4 000 calls from slow to dead, other phases make 6 000 attempts.
    for (dead, breaks) in [(1, false), (0, true)] {
        let run = run_with(Phase::Dead, |phase| {
            attempts(phase, Side::Bare, Upstream::Payments).all = dead;
        });
        let expected = if breaks {
            vec![(Rule::LoadControl, Span::Failing)]
        } else {
            vec![]
        };
        assert_eq!(broken_loads(&run), expected, "{dead} attempts");
    }
}

#[test]
fn the_load_of_a_run_cut_short_or_without_calls_is_not_judged() {
    let verdicts = |run: &Evidence| -> Vec<Verdict> {
        let bounds = judge(run, Bounds::All).into_iter();
        let rules = [Rule::InventoryLoad, Rule::PaymentsLoad, Rule::LoadControl];
        let of_load = bounds.filter(|bound| rules.contains(&bound.rule));
        of_load.map(|bound| bound.verdict).collect()
    };
    let mut cut = good_run();
    cut.phases[6].over = false;
    let unjudged = Verdict::NotJudged("the run was cut short");
    let expected = [
        Verdict::Held,
        Verdict::Held,
        unjudged,
        unjudged,
        Verdict::Held,
    ];
    assert_eq!(verdicts(&cut), expected);
    cut.phases[2].over = false;
    assert_eq!(verdicts(&cut), [unjudged; 5]);
    assert_eq!(
        verdicts(&with_calls(0)),
        [Verdict::NotJudged("no call arrived"); 5]
    );
}
