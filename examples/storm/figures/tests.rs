//! Figures of calls that are made up.

use super::*;
use crate::levels::Level;
use crate::stage::Class;

fn payments(due_ms: u64, outcome: Outcome) -> Call {
    Call {
        side: Side::Protected,
        upstream: Upstream::Payments,
        class: Class::Checkout,
        caller: Caller::Fair(0),
        due: Duration::from_millis(due_ms),
        late: Duration::ZERO,
        latency: Duration::from_millis(due_ms + 1),
        outcome,
        attempts: 1,
    }
}

/// Ten calls in each bin, of which `served[bin]` are served.
fn bins(served: &[u64]) -> Record {
    let calls = (0..).zip(served).flat_map(|(bin, served)| {
        let outcome = |n| {
            if n < *served {
                Outcome::Served
            } else {
                Outcome::Failed
            }
        };
        (0..10).map(move |n| payments(bin * 500 + n * 50, outcome(n)))
    });
    Record::new(calls.collect())
}

fn again(served: &[u64]) -> Option<u128> {
    let end = BIN * u32::try_from(served.len()).unwrap();
    let found = bins(served).served_again(Side::Protected, Duration::ZERO, end);
    found.map(|after| after.as_millis())
}

#[test]
fn percentiles_are_nearest_ranks() {
    let hundred: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
    assert_eq!(percentile(&hundred, 50), Some(Duration::from_millis(50)));
    assert_eq!(percentile(&hundred, 99), Some(Duration::from_millis(99)));
    assert_eq!(
        percentile(&hundred[..1], 99),
        Some(Duration::from_millis(1))
    );
    assert_eq!(percentile(&[], 99), None);
}

#[test]
fn every_call_is_counted_once_by_its_outcome() {
    use Outcome::{Degraded, Failed, Refused, Served, TimedOut};
    let replica = Degraded(Level::Replica);
    let outcomes = [Served, Served, Refused, TimedOut, Failed, replica, Failed];
    let calls: Vec<Call> = (0..).zip(outcomes).map(|(n, o)| payments(n, o)).collect();
    let figures = Figures::of(&calls);
    assert_eq!((figures.calls, figures.served, figures.refused), (7, 2, 1));
    assert_eq!(
        (figures.timed_out, figures.failed, figures.lost()),
        (1, 2, 5)
    );
    assert_eq!((figures.degraded.replica, figures.unanswered()), (1, 4));
}

#[test]
fn a_span_holds_its_start_and_not_its_end() {
    let record = bins(&[10, 10]);
    assert_eq!(record.due_in(Duration::ZERO..BIN).len(), 10);
    assert_eq!(record.due_in(BIN..BIN * 2).len(), 10);
}

#[test]
fn figures_keep_gateways_upstreams_and_classes_apart() {
    let figures = bins(&[10]).figures(Duration::ZERO..BIN);
    assert_eq!(figures.protected.payments.served, 10);
    assert_eq!(figures.protected.inventory.calls, 0);
    assert_eq!(figures.bare.payments.calls, 0);
    let classes = bins(&[10]).classes(Duration::ZERO..BIN);
    assert_eq!(classes.protected.checkout.served, 10);
    assert_eq!(classes.protected.browse.calls, 0);
    assert_eq!(classes.bare.checkout.calls, 0);
}

#[test]
fn the_greedy_client_is_in_no_figure_but_its_own() {
    let greedy = |n, outcome| Call {
        caller: Caller::Greedy,
        ..payments(n, outcome)
    };
    let calls = vec![
        greedy(600, Outcome::Served),
        payments(1, Outcome::Served),
        payments(2, Outcome::Limited),
        greedy(2, Outcome::Limited),
        greedy(3, Outcome::Served),
    ];
    let record = Record::new(calls);
    let figures = record.figures(Duration::ZERO..BIN).protected.payments;
    assert_eq!((figures.calls, figures.limited, figures.lost()), (2, 1, 1));
    let greed = |to: u32| record.greed(Duration::ZERO..BIN * to).protected;
    let expected = Greed {
        calls: 2,
        limited: 1,
        served: 1,
        others_limited: 1,
    };
    assert_eq!(greed(1), expected);
    assert_eq!((greed(2).calls, greed(2).let_in()), (3, 2));
}

#[test]
fn the_first_degraded_answer_is_the_first_to_end_of_those_that_were_due_by_then() {
    let degraded = |due, latency| Call {
        latency: Duration::from_millis(latency),
        ..payments(due, Outcome::Degraded(Level::Replica))
    };
    let calls = vec![
        degraded(90, 5),
        payments(110, Outcome::Served),
        degraded(120, 300),
        degraded(150, 20),
        degraded(500, 1),
    ];
    let record = Record::new(calls);
    let first = |side, since, until| {
        let [since, until] = [since, until].map(Duration::from_millis);
        record.first_degraded(side, since, until)
    };
    assert_eq!(
        first(Side::Protected, 100, 500),
        Some(Duration::from_millis(70))
    );
    assert_eq!(first(Side::Protected, 151, 500), None);
    assert_eq!(first(Side::Bare, 0, 1_000), None);
}

#[test]
fn served_again_is_the_first_of_two_good_bins_in_a_row() {
    assert_eq!(again(&[10, 10, 10]), Some(0));
    assert_eq!(again(&[0, 0, 10, 10]), Some(1_000));
    assert_eq!(again(&[10, 0, 10, 10]), Some(1_000));
    assert_eq!(again(&[10, 9, 10, 9, 10]), None);
    assert_eq!(again(&[0, 10]), None);
}

#[test]
fn a_bin_without_calls_serves_nothing() {
    let none = Record::default().served_again(Side::Bare, Duration::ZERO, BIN * 10);
    assert_eq!(none, None);
}
