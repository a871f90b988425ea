//! From calls to verdicts and pages, without a storm.

use tokio::time::Instant;

use super::*;
use crate::clients::Caller;
use crate::levels::Level;
use crate::load::call::{Call, Outcome as Ending};
use crate::options::{Command, parse};
use crate::schedule::Phase;
use crate::stage::{Class, Side, Upstream};
use crate::timeouts::Timings;

fn options() -> Options {
    match parse(["storm".into(), "--seconds".into(), "16".into()]) {
        Ok(Command::Storm(options)) => options,
        other => panic!("{other:?}"),
    }
}

/// A hundred calls per second to each upstream of each gateway, which end as `ending` says until
/// the rush. There every second call is served, and every checkout by the protected gateway.
fn record(ending: impl Fn(Side, Upstream, Phase) -> Ending) -> Record {
    let schedule = options().schedule();
    let mut calls = Vec::new();
    for (n, due) in (0..1_600).map(|n| (n, Duration::from_millis(n * 10))) {
        let class = match n % 5 {
            0 => Class::Checkout,
            1 => Class::Rest,
            _ => Class::Browse,
        };
        for side in Side::ALL {
            for upstream in Upstream::ALL {
                let outcome = match (schedule.phase_at(due), side, class) {
                    (Phase::Rush, Side::Protected, Class::Checkout) => Ending::Served,
                    (Phase::Rush, ..) if n % 2 == 0 => Ending::Served,
                    (Phase::Rush, ..) => Ending::Refused,
                    (phase, ..) => ending(side, upstream, phase),
                };
                let (late, latency) = (Duration::ZERO, Duration::from_millis(15));
                calls.push(Call {
                    side,
                    upstream,
                    class,
                    caller: Caller::Fair(0),
                    due,
                    late,
                    latency,
                    outcome,
                    attempts: attempts(side, outcome),
                });
            }
        }
    }
    Record::new([calls, greedy_calls()].concat())
}

/// Forty calls per second from the slow phase on, of which the protected gateway lets in thirty, and one
/// in seven of the others.
fn greedy_calls() -> Vec<Call> {
    let from = options().schedule().greed().start;
    let dues = (0..).map(|n| (n, from + Duration::from_millis(n * 25)));
    let dues = dues.take_while(|(_, due)| *due < options().schedule().total());
    let call = |n, due, side| {
        let limited = side == Side::Protected && n >= 30 && n % 7 != 0;
        Call {
            side,
            upstream: Upstream::Inventory,
            class: Class::Browse,
            caller: Caller::Greedy,
            due,
            late: Duration::ZERO,
            latency: Duration::from_secs(1),
            outcome: if limited {
                Ending::Limited
            } else {
                Ending::Served
            },
            attempts: 1,
        }
    };
    dues.flat_map(|(n, due)| Side::ALL.map(|side| call(n, due, side)))
        .collect()
}

/// The bare gateway tries three times more what fails; the protected one leaves it.
fn attempts(side: Side, outcome: Ending) -> u8 {
    match (side, outcome) {
        (_, Ending::Refused) => 0,
        (Side::Bare, Ending::TimedOut | Ending::Failed) => 4,
        _ => 1,
    }
}

/// Payments serves nobody from hanging to dead, for which the protected gateway has other levels, and the bare gateway loses inventory with it.
fn as_expected(side: Side, upstream: Upstream, phase: Phase) -> Ending {
    match (side, upstream, phase) {
        (Side::Protected, Upstream::Payments, Phase::Hanging) => Ending::Degraded(Level::Replica),
        (Side::Protected, Upstream::Payments, Phase::Dead) => Ending::Degraded(Level::Default),
        (_, Upstream::Payments, Phase::Hanging | Phase::Dead) => Ending::TimedOut,
        (Side::Bare, Upstream::Inventory, Phase::Hanging) => Ending::Refused,
        _ => Ending::Served,
    }
}

fn report(record: &Record, cut_short: Option<Duration>) -> Report {
    let turned = |phase| {
        let mut phases = options().schedule().phases();
        phases
            .find(|(of, _)| *of == phase)
            .map(|(_, span)| span.start)
    };
    let turned = Turned {
        hanging: turned(Phase::Hanging),
        dead: turned(Phase::Dead),
        back: turned(Phase::Back),
    };
    Report::new(
        &options(),
        record,
        &PerSide::from_fn(|_| turned),
        Vec::new(),
        PerUpstream::default(),
        cut_short,
    )
}

#[test]
fn a_run_as_expected_holds_and_says_so_in_one_sentence() {
    let report = report(&record(as_expected), None);
    assert_eq!(report.result, Outcome::Held);
    assert_eq!(report.recovery.protected.served_again, Some(Duration::ZERO));
    assert_eq!(
        report.headline,
        "While payments hung, the protected gateway served 100 % of the calls to inventory; \
         the bare one served 0.0 %. Once payments was killed, 100 % of its calls got a degraded \
         answer; of the bare one’s, 0.0 %. In the rush the protected one served 100 % of the \
         checkouts; the bare one served 50.0 %.",
    );
}

#[test]
fn a_broken_bound_breaks_the_run_and_is_named() {
    let report = report(
        &record(|side, upstream, phase| match (side, upstream, phase) {
            (Side::Protected, Upstream::Inventory, Phase::Dead) => Ending::Failed,
            _ => as_expected(side, upstream, phase),
        }),
        None,
    );
    assert_eq!(report.result, Outcome::Broken);
    assert!(
        report.headline.contains("inventory served in dead: 0.0 %"),
        "{}",
        report.headline
    );
}

#[test]
fn a_run_without_control_proved_nothing() {
    let report = report(
        &record(|_, upstream, phase| as_expected(Side::Protected, upstream, phase)),
        None,
    );
    assert_eq!(report.result, Outcome::Broken);
    assert!(
        report.headline.starts_with("The run proved nothing"),
        "{}",
        report.headline
    );
}

#[test]
fn a_run_cut_short_shows_the_phases_it_reached_and_judges_those_it_finished() {
    let report = report(&record(as_expected), Some(Duration::from_secs(6)));
    let over: Vec<_> = report
        .phases
        .iter()
        .map(|phase| (phase.phase, phase.over))
        .collect();
    let expected = [
        (Phase::Calm, true),
        (Phase::Slow, true),
        (Phase::HalfFailing, false),
    ];
    assert_eq!(over, expected);
    assert_eq!(report.timeline.last().unwrap().to, Duration::from_secs(6));
    let held = report
        .bounds
        .iter()
        .filter(|bound| bound.verdict == Verdict::Held);
    assert_eq!((held.count(), report.bounds.len()), (5, 34));
}

#[test]
fn the_greedy_client_is_told_apart_and_the_others_are_told_before_and_with_it() {
    let report = report(&record(as_expected), None);
    let PerSide { protected, bare } = report.greed;
    assert_eq!((protected.calls, bare.calls), (512, 512));
    assert_eq!((protected.let_in(), bare.let_in()), (99, 512));
    assert_eq!(greed::turned_away(&protected), "80.6 %");
    assert_eq!(protected.others_limited, 0);
    assert_eq!(
        greed::story(&report),
        "After the calm phase one client called ten times as often as others do: 40/s. The protected \
         gateway lets each have 6/s, and 30 at once. With it, 100 % of the others’ calls to inventory \
         were served until the rush, p99 15 ms; without it, in the calm phase, 100 %, p99 15 ms.",
    );
}

#[test]
fn a_call_of_another_that_is_limited_breaks_the_run() {
    let one = |side, upstream, phase| match (side, upstream, phase) {
        (Side::Protected, Upstream::Payments, Phase::Calm) => Ending::Limited,
        _ => as_expected(side, upstream, phase),
    };
    let report = report(&record(one), None);
    assert_eq!(
        report.headline,
        "A bound broke, others limited in whole run: 320, not 0 calls (bare: 0).",
    );
}

#[test]
fn who_answered_is_told_by_level_and_how_soon_by_the_first_of_them() {
    let report = report(&record(as_expected), None);
    let shares = |span, side| levels::answered(&report, span, side, Upstream::Payments).shares();
    let of = |phase| shares(Span::Phase(phase), Side::Protected);
    assert_eq!(
        of(Phase::Calm),
        ["100 %", "0.0 %", "0.0 %", "0.0 %", "0.0 %"]
    );
    assert_eq!(
        of(Phase::Hanging),
        ["0.0 %", "100 %", "0.0 %", "0.0 %", "0.0 %"]
    );
    assert_eq!(
        of(Phase::Dead),
        ["0.0 %", "0.0 %", "0.0 %", "100 %", "0.0 %"]
    );
    let bare = shares(Span::Outage, Side::Bare);
    assert_eq!(bare, ["75.0 %", "0.0 %", "0.0 %", "0.0 %", "25.0 %"]);
    assert_eq!(
        levels::story(&report),
        "Once payments hung, the first degraded answer came after 15 ms (bare: never). Once it was \
         killed, the first degraded answer came after 15 ms (bare: never). Until the rush 0 calls got no answer at all (bare: 480).",
    );
}

#[test]
fn a_call_to_a_route_with_a_default_that_nobody_answers_breaks_the_run() {
    let one = |side, upstream, phase| match (side, upstream, phase) {
        (Side::Protected, Upstream::Payments, Phase::Slow) => Ending::Failed,
        _ => as_expected(side, upstream, phase),
    };
    let report = report(&record(one), None);
    assert!(
        report
            .headline
            .contains("without any answer in until the rush: 160"),
        "{}",
        report.headline
    );
}

#[test]
fn the_timeline_covers_the_run_without_a_gap() {
    let report = report(&record(as_expected), None);
    assert!(
        report
            .timeline
            .windows(2)
            .all(|pair| pair[0].to == pair[1].from)
    );
    let calls: usize = report
        .timeline
        .iter()
        .map(|slice| slice.sides.bare.payments.calls)
        .sum();
    assert_eq!(calls, 1_600);
}

#[test]
fn the_page_is_filled_and_shows_every_phase_and_verdict() {
    let page = html::page(&report(&record(as_expected), None));
    assert!(!page.contains("{{"), "a part was not filled in");
    for phase in Phase::ALL {
        assert!(page.contains(phase.story()), "{}", phase.name());
    }
    for class in Class::ALL {
        assert!(page.contains(class.name()), "{}", class.name());
    }
    assert_eq!(page.matches("✓ held").count(), 34);
    assert!(page.contains("The greedy client") && page.contains("Who answered"));
}

#[test]
fn the_page_shows_a_timeout_as_a_line_and_nothing_where_nothing_is_answered() {
    let timings = Timings::default();
    let start = Instant::now();
    timings.allow(Upstream::Payments, Duration::from_millis(150));
    let mut report = report(&record(as_expected), None);
    report.timeouts = timings.since(start);
    for slice in report
        .timeline
        .iter_mut()
        .filter(|slice| slice.from.as_secs() != 6)
    {
        slice.timeouts.payments.p95 = Some(Duration::from_millis(20));
    }
    let page = html::page(&report);
    let lines = |name: &str| {
        page.matches(&format!(r#"<polyline class="{name}""#))
            .count()
    };
    assert_eq!(lines("timeout"), 2);
    assert_eq!(lines("p95 payments"), 2);
    assert_eq!(lines("p95 inventory"), 0);
}
