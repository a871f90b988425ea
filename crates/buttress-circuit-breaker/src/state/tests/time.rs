//! The window in time: who has weight, and who has none.

use std::time::Duration;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::super::outcome::Outcome;
use super::super::time_window::TimeWindow;
use buttress_timer::Moment;

const GOOD: Outcome = Outcome::Success { slow: false };
const BAD: Outcome = Outcome::Failure {
    slow: false,
    hint: None,
};

fn at(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

// proves: CB-2
#[test]
fn the_young_have_full_weight_and_the_old_have_none() {
    let seed = seed();
    let random = Random::seeded(seed);
    for _ in 0..deep(300, 20_000) {
        let window = 1_000 + random.next_u64() % 1_000_000_000;
        let buckets = TimeWindow::new(Duration::from_nanos(window), 7);
        let mut results = Vec::new();
        let mut now = random.next_u64() % (window * 40);
        for _ in 0..60 {
            now += match random.next_u64() % 8 {
                0 => window * 20 + random.next_u64() % window,
                1 => random.next_u64() % (2 * window),
                _ => random.next_u64() % (window / 8 + 1),
            };
            let _ = buckets.record(7, BAD, at(now), 1);
            results.push(now);
            let young = results.iter().filter(|then| now - **then < window).count() as u64;
            let old = results
                .iter()
                .filter(|then| now - **then > window + window / 10 + 15)
                .count();
            let failed = buckets.tally(at(now)).failed;
            let most = (results.len() - old) as u64;
            assert!(
                (young..=most).contains(&failed),
                "window {window}: {young} <= {failed} <= {most}"
            );
        }
    }
}

#[test]
fn a_call_of_another_generation_changes_nothing() {
    let buckets = TimeWindow::new(Duration::from_secs(1), 1);
    assert!(buckets.record(1, BAD, at(5), 1).is_some());
    buckets.restart(2);
    assert!(buckets.record(1, BAD, at(6), 1).is_none());
    assert_eq!(buckets.tally(at(6)).calls, 0);
    let _ = buckets.record(2, GOOD, at(6), 1);
    assert_eq!(
        (buckets.tally(at(6)).calls, buckets.tally(at(6)).failed),
        (1, 0)
    );
}

#[test]
fn after_ten_years_of_silence_nothing_old_is_left() {
    let buckets = TimeWindow::new(Duration::from_millis(15), 1);
    for turn in 0..40_u64 {
        // Exactly a whole number of turns of the sixteen-bit tags, the worst case.
        let now = at(turn * 65_536 * 1_000_000 * 7);
        let _ = buckets.record(1, BAD, now, 1);
        assert_eq!(buckets.tally(now).calls, 1, "turn {turn}");
    }
    let ten_years = at(10 * 365 * 24 * 3600 * 1_000_000_000);
    let _ = buckets.record(1, BAD, ten_years, 1);
    assert_eq!(buckets.tally(ten_years).calls, 1);
}

#[test]
fn the_end_of_time_is_a_time_like_any_other() {
    let buckets = TimeWindow::new(Duration::from_micros(1), 1);
    let _ = buckets.record(1, BAD, at(u64::MAX), 1);
    assert_eq!(buckets.tally(at(u64::MAX)).calls, 1);
}

// proves: CB-2
#[test]
fn slow_calls_do_not_come_back_when_the_tags_have_gone_round() {
    let slow = Outcome::Success { slow: true };
    let buckets = TimeWindow::new(Duration::from_micros(15), 1);
    for bucket in 0..3 * 65_536_u64 {
        let outcome = if bucket < 8 { slow } else { GOOD };
        let now = at(bucket * 1000);
        let _ = buckets.record(1, outcome, now, 1);
        assert!(
            bucket < 24 || buckets.tally(now).slow == 0,
            "bucket {bucket}"
        );
    }
}

// proves: CB-2
#[test]
fn rare_calls_do_not_meet_those_of_long_ago() {
    let buckets = TimeWindow::new(Duration::from_micros(15), 1);
    for bucket in (0..20).chain((24..3 * 65_536_u64).step_by(8)) {
        let now = at(bucket * 1000);
        let _ = buckets.record(1, BAD, now, 1);
        assert!(
            bucket < 48 || buckets.tally(now).calls == 2,
            "bucket {bucket}"
        );
    }
}

// proves: CB-2
#[test]
fn a_bucket_that_overflows_keeps_its_shares() {
    let buckets = TimeWindow::new(Duration::from_secs(3600), 1);
    let slow = Outcome::Failure {
        slow: true,
        hint: None,
    };
    for call in 0..40_000_000_u32 {
        let _ = buckets.record(1, if call % 4 == 0 { slow } else { GOOD }, at(1), 1);
    }
    let tally = buckets.tally(at(1));
    assert!((tally.failure_rate() - 0.25).abs() < 0.001, "{tally:?}");
    assert!((tally.slow_rate() - 0.25).abs() < 0.001, "{tally:?}");
}
