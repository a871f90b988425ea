//! Each bound is shown to hold and to break.

use super::failover::FirstDegraded;
use super::*;
use crate::attempts::Attempts;

mod failover;
mod greed;
mod load;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn figures(calls: usize, served: usize, p99: Duration) -> Figures {
    let failed = calls - served;
    Figures {
        calls,
        served,
        failed,
        attempts: Attempts {
            first: calls,
            all: calls,
        },
        p50: Some(p99),
        p99: Some(p99),
        ..Figures::default()
    }
}

/// The same, all the others with the default.
fn degraded(calls: usize, served: usize, p99: Duration) -> Figures {
    let mut figures = figures(calls, served, p99);
    (figures.failed, figures.degraded.default) = (0, figures.failed);
    figures
}

/// The phase that begins after `from` seconds and lasts one.
fn phase(from: u32, phase: Phase) -> PhaseFigures {
    let side = |inventory: usize| PerUpstream {
        inventory: figures(1_000, inventory, ms(20)),
        payments: figures(1_000, 500, ms(500)),
    };
    let mut sides = PerSide {
        protected: side(1_000),
        bare: side(400),
    };
    sides.bare.payments.attempts.all = 2_000;
    let payments = &mut sides.protected.payments;
    (payments.failed, payments.degraded.replica) = (0, payments.failed);
    // Half of the calls, checkouts first.
    let classes = |checkout, rest, browse| PerClass {
        checkout: figures(400, checkout, ms(20)),
        rest: figures(400, rest, ms(200)),
        browse: figures(1_200, browse, ms(500)),
    };
    let classes = PerSide {
        protected: classes(400, 400, 200),
        bare: classes(160, 160, 480),
    };
    PhaseFigures {
        phase,
        from: ms(1_000) * from,
        to: ms(1_000) * (from + 1),
        over: true,
        sides,
        classes,
        greed: greed(phase),
    }
}

/// Calls of which the limit lets in what may be: 30 and 6 in the first phase, and 6 in each other.
fn greed(phase: Phase) -> PerSide<Greed> {
    let (calls, let_in) = match phase {
        Phase::Calm => (0, 0),
        Phase::Slow => (100, 36),
        _ => (100, 6),
    };
    let greed = |let_in| Greed {
        calls,
        limited: calls - let_in,
        served: let_in,
        others_limited: 0,
    };
    PerSide {
        protected: greed(let_in),
        bare: greed(calls),
    }
}

/// The phases that bounds on inventory are for.
fn outage() -> impl Iterator<Item = Phase> {
    let all = Phase::ALL.into_iter();
    all.filter(|phase| *phase != Phase::Rush)
}

/// A run that goes as it should: open time 1 s, calm p99 20 ms, so the latency limit is 110 ms.
fn good_run() -> Evidence {
    let recovery = Recovery {
        accepted: Some(ms(30_000)),
        served_again: Some(ms(1_000)),
    };
    Evidence {
        phases: (0..).zip(Phase::ALL).map(|(n, p)| phase(n, p)).collect(),
        recovery: PerSide {
            protected: recovery,
            bare: recovery,
        },
        failovers: failovers(),
        open_time: ms(1_000),
        lateness_p99: ms(2),
        allowance: Allowance {
            per_minute: 360,
            burst: 30,
        },
    }
}

/// Another level answers after 300 ms; the bare gateway has none.
fn failovers() -> Vec<FailOver> {
    let after = |after| FirstDegraded { after };
    let failover = |phase| FailOver {
        phase,
        first_degraded: PerSide {
            protected: after(Some(ms(300))),
            bare: after(None),
        },
    };
    super::failover::WITHOUT_PAYMENTS.map(failover).into()
}

/// The phase that a bound is about, where it is about one.
fn phase_of(bound: &Bound) -> Phase {
    match bound.span {
        Span::Phase(phase) => phase,
        _ => panic!("a bound on the whole run broke: {bound:?}"),
    }
}

/// The good run after `change` was made to one of its phases.
fn run_with(changed: Phase, change: impl Fn(&mut PhaseFigures)) -> Evidence {
    let mut run = good_run();
    run.phases
        .iter_mut()
        .filter(|phase| phase.phase == changed)
        .for_each(change);
    run
}

fn broken(evidence: &Evidence, bounds: Bounds) -> Vec<(Rule, Phase)> {
    let all = judge(evidence, bounds).into_iter();
    all.filter(|b| b.verdict == Verdict::Broken)
        .map(|b| (b.rule, phase_of(&b)))
        .collect()
}

fn verdict(evidence: &Evidence, bounds: Bounds, rule: Rule, phase: Phase) -> Verdict {
    let all = judge(evidence, bounds);
    all.iter()
        .find(|b| b.rule == rule && b.span == Span::Phase(phase))
        .unwrap()
        .verdict
}

#[test]
fn a_good_run_holds_every_bound() {
    let bounds = judge(&good_run(), Bounds::All);
    assert_eq!(bounds.len(), 6 + 6 + 1 + 1 + 4 + 5 + 8 + 3);
    assert!(
        bounds.iter().all(|bound| bound.verdict == Verdict::Held),
        "{bounds:#?}"
    );
}

#[test]
fn a_share_breaks_in_any_phase_and_only_at_two_losses_beyond_it() {
    // calls, losses: whether the share of 99.9 % is broken
    let table = [
        (375, 1, false),
        (375, 2, true),
        (1_000, 1, false),
        (1_000, 2, false),
        (1_000, 3, true),
        (2_500, 3, false),
        (2_500, 4, true),
    ];
    for (calls, losses, breaks) in table {
        for hit in outage().filter(|phase| *phase != Phase::Calm) {
            let run = run_with(hit, |p| {
                p.sides.protected.inventory = degraded(calls, calls - losses, ms(20));
            });
            let expected = if breaks {
                vec![(Rule::Share, hit)]
            } else {
                vec![]
            };
            assert_eq!(
                broken(&run, Bounds::All),
                expected,
                "{losses} of {calls} in {hit:?}"
            );
        }
    }
}

#[test]
fn the_calm_phase_is_excused_three_losses_of_a_budget_that_begins() {
    for (losses, breaks) in [(5, false), (6, true)] {
        let run = run_with(Phase::Calm, |p| {
            p.sides.protected.inventory = degraded(1_000, 1_000 - losses, ms(20));
        });
        let expected = if breaks {
            vec![(Rule::Share, Phase::Calm)]
        } else {
            vec![]
        };
        assert_eq!(broken(&run, Bounds::All), expected, "{losses} losses");
    }
}

#[test]
fn a_p99_breaks_beyond_three_times_the_calm_one_and_fifty_milliseconds() {
    for (p99, breaks) in [(ms(110), false), (ms(111), true)] {
        let run = run_with(Phase::Dead, |p| p.sides.protected.inventory.p99 = Some(p99));
        let expected = if breaks {
            vec![(Rule::Latency, Phase::Dead)]
        } else {
            vec![]
        };
        assert_eq!(broken(&run, Bounds::All), expected, "{p99:?}");
    }
}

#[test]
fn latencies_are_not_judged_on_a_busy_machine() {
    let mut run = run_with(Phase::Dead, |p| {
        p.sides.protected.inventory.p99 = Some(ms(900));
    });
    run.lateness_p99 = ms(20);
    assert_eq!(broken(&run, Bounds::All), [(Rule::Latency, Phase::Dead)]);
    run.lateness_p99 = ms(21);
    assert_eq!(broken(&run, Bounds::All), []);
    let busy = Verdict::NotJudged("the machine was too busy");
    assert_eq!(verdict(&run, Bounds::All, Rule::Latency, Phase::Calm), busy);
}

#[test]
fn only_latencies_are_left_out_when_shares_are_asked_for() {
    let run = run_with(Phase::Dead, |p| {
        p.sides.protected.inventory = degraded(1_000, 900, ms(900));
    });
    assert_eq!(broken(&run, Bounds::Shares), [(Rule::Share, Phase::Dead)]);
    assert_eq!(
        broken(&run, Bounds::All),
        [(Rule::Share, Phase::Dead), (Rule::Latency, Phase::Dead)]
    );
}

#[test]
fn a_recovery_breaks_when_it_is_late_or_does_not_come() {
    // 1.2 × 1 s open, 1 s of probes, 2 s
    let table = [
        (Some(ms(4_200)), false),
        (Some(ms(4_201)), true),
        (None, true),
    ];
    for (served_again, breaks) in table {
        let mut run = good_run();
        run.recovery.protected.served_again = served_again;
        let expected = if breaks {
            vec![(Rule::Recovery, Phase::Back)]
        } else {
            vec![]
        };
        assert_eq!(broken(&run, Bounds::Shares), expected, "{served_again:?}");
    }
}

#[test]
fn the_bare_gateway_is_not_held_to_any_bound() {
    let mut run = good_run();
    run.recovery.bare.served_again = None;
    for phase in &mut run.phases {
        phase.sides.bare.inventory = figures(1_000, 0, ms(9_000));
        phase.classes.bare.checkout = figures(400, 0, ms(9_000));
        phase.classes.bare.browse = figures(1_200, 0, ms(9_000));
    }
    assert_eq!(broken(&run, Bounds::All), []);
}

#[test]
fn a_run_in_which_the_bare_gateway_stands_proves_nothing() {
    for (served, breaks) in [(989, false), (990, true), (1_000, true)] {
        let run = run_with(Phase::Hanging, |p| {
            p.sides.bare.inventory = figures(1_000, served, ms(20));
        });
        let expected = if breaks {
            vec![(Rule::Control, Phase::Hanging)]
        } else {
            vec![]
        };
        assert_eq!(
            broken(&run, Bounds::Shares),
            expected,
            "{served} of 1 000 served"
        );
    }
}

#[test]
fn what_a_cut_short_run_did_not_finish_is_not_judged() {
    let mut run = good_run();
    run.recovery.protected = Recovery::default();
    for phase in &mut run.phases[3..] {
        phase.over = false;
        phase.sides.protected.inventory = figures(10, 0, ms(9_000));
        phase.classes.protected.checkout = figures(10, 0, ms(9_000));
    }
    assert_eq!(broken(&run, Bounds::All), []);
    let cut = Verdict::NotJudged("the run was cut short");
    assert_eq!(
        verdict(&run, Bounds::All, Rule::Control, Phase::Hanging),
        cut
    );
    assert_eq!(verdict(&run, Bounds::All, Rule::Recovery, Phase::Back), cut);
    for rule in RULES_OF_THE_RUSH {
        assert_eq!(verdict(&run, Bounds::All, rule, Phase::Rush), cut);
    }
    assert_eq!(
        verdict(&run, Bounds::All, Rule::Share, Phase::HalfFailing),
        Verdict::Held
    );
}

#[test]
fn a_phase_without_calls_is_not_judged() {
    let run = run_with(Phase::Slow, |p| {
        p.sides.protected.inventory = Figures::default();
    });
    let none = Verdict::NotJudged("no call arrived");
    assert_eq!(verdict(&run, Bounds::All, Rule::Share, Phase::Slow), none);
    assert_eq!(verdict(&run, Bounds::All, Rule::Latency, Phase::Slow), none);
    let run = run_with(Phase::Rush, |p| {
        p.classes.protected.browse = Figures::default();
    });
    for rule in RULES_OF_THE_RUSH {
        assert_eq!(verdict(&run, Bounds::All, rule, Phase::Rush), none);
    }
}

const RULES_OF_THE_RUSH: [Rule; 4] = [
    Rule::CheckoutShare,
    Rule::CheckoutLatency,
    Rule::BrowseShare,
    Rule::Overrun,
];

/// What breaks in a rush after `change`.
fn broken_in_rush(change: impl Fn(&mut PerClass<Figures>)) -> Vec<Rule> {
    let run = run_with(Phase::Rush, |p| change(&mut p.classes.protected));
    let rules = broken(&run, Bounds::All).into_iter();
    rules.map(|(rule, _)| rule).collect()
}

#[test]
fn inventory_has_no_bound_in_the_rush() {
    let run = run_with(Phase::Rush, |p| {
        p.sides.protected.inventory = figures(1_000, 400, ms(900));
    });
    assert_eq!(broken(&run, Bounds::All), []);
}

#[test]
fn checkouts_break_the_rush_at_two_losses_beyond_their_share() {
    for (calls, losses, breaks) in [(775, 1, false), (775, 2, true), (2_067, 4, true)] {
        let broken = broken_in_rush(|p| p.checkout = figures(calls, calls - losses, ms(20)));
        let expected = if breaks {
            vec![Rule::CheckoutShare]
        } else {
            vec![]
        };
        assert_eq!(broken, expected, "{losses} of {calls}");
    }
}

#[test]
fn checkouts_may_take_three_times_as_long_as_in_the_calm_and_fifty_milliseconds() {
    // Calm ones take 20 ms.
    for (p99, breaks) in [(ms(110), false), (ms(111), true)] {
        let late = |p: &mut PhaseFigures| p.classes.protected.checkout.p99 = Some(p99);
        let run = run_with(Phase::Rush, late);
        let expected = if breaks {
            vec![(Rule::CheckoutLatency, Phase::Rush)]
        } else {
            vec![]
        };
        assert_eq!(broken(&run, Bounds::All), expected, "{p99:?}");
        assert_eq!(broken(&run, Bounds::Shares), []);
    }
}

#[test]
fn browsing_gets_four_of_a_hundred_answers() {
    // Beside 800 others: 34 of 834 are more than 4 %, 33 of 833 are less.
    for (served, breaks) in [(34, false), (33, true), (0, true)] {
        let broken = broken_in_rush(|p| p.browse = figures(1_200, served, ms(500)));
        let expected = if breaks {
            vec![Rule::BrowseShare]
        } else {
            vec![]
        };
        assert_eq!(broken, expected, "{served} served");
    }
}

#[test]
fn a_rush_that_is_served_proves_nothing() {
    // Of 2 000 calls, 800 of which are others: 1 500 are the limit.
    for (browse, breaks) in [(699, false), (700, true), (1_200, true)] {
        let broken = broken_in_rush(|p| p.browse = figures(1_200, browse, ms(500)));
        let expected = if breaks { vec![Rule::Overrun] } else { vec![] };
        assert_eq!(broken, expected, "{browse} served");
    }
}
