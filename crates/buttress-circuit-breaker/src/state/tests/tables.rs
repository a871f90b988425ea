//! Single steps, one table each.

use std::time::Duration;

use super::super::call_window::CallWindow;
use super::super::outcome::Outcome;
use crate::config::Config;
use crate::window::Share;

const GOOD: Outcome = Outcome::Success { slow: false };
const BAD: Outcome = Outcome::Failure {
    slow: false,
    hint: None,
};

#[test]
fn a_full_window_of_good_calls_is_only_read() {
    let window = CallWindow::new(3, 9);
    assert!(!window.is_full_of_good_calls(9));
    for _ in 0..3 {
        let _ = window.record(9, GOOD);
    }
    assert!(window.is_full_of_good_calls(9));
    assert!(
        !window.is_full_of_good_calls(10),
        "another generation owns it"
    );
    let _ = window.record(9, BAD);
    assert!(!window.is_full_of_good_calls(9));
    for _ in 0..3 {
        let _ = window.record(9, GOOD);
    }
    assert!(window.is_full_of_good_calls(9), "the failure has slid out");
}

#[test]
fn generations_wrap_without_a_trace() {
    for generation in [0, 1, 0x00ff_ffff, 0x0100_0000, u32::MAX] {
        let window = CallWindow::new(2, generation);
        for expected in [(1, 1), (2, 2), (2, 2)] {
            let tally = window.record(generation, BAD).unwrap().tally();
            assert_eq!(
                (tally.calls, tally.failed),
                expected,
                "generation {generation}"
            );
        }
        window.restart(generation.wrapping_add(1));
        assert!(window.record(generation, BAD).is_none());
        let tally = window
            .record(generation.wrapping_add(1), BAD)
            .unwrap()
            .tally();
        assert_eq!((tally.calls, tally.failed), (1, 1));
    }
}

#[test]
fn laps_wrap_without_a_trace() {
    let window = CallWindow::new(1, 3);
    for call in 0..(1 << 24) + 100_u32 {
        let outcome = if call % 2 == 0 { BAD } else { GOOD };
        let _ = window.record(3, outcome);
        debug_assert_eq!(window.tally().failed, u64::from(call % 2 == 0));
    }
    assert_eq!((window.tally().calls, window.tally().failed), (1, 0));
    let _ = window.record(3, BAD);
    assert_eq!((window.tally().calls, window.tally().failed), (1, 1));
}

#[test]
fn a_share_is_compared_in_whole_numbers() {
    let share = |share| Share::new("test", share).unwrap();
    for (limit, part, whole, reached) in [
        (0.1, 3, 30, true),
        (0.1, 2, 30, false),
        (0.5, 10, 20, true),
        (0.5, 9, 20, false),
        (1.0, 20, 20, true),
        (1.0, 19, 20, false),
        (1e-12, 0, 20, false),
        (1e-12, 1, 1_000_000, true),
    ] {
        assert_eq!(
            share(limit).is_reached(part, whole),
            reached,
            "{part} of {whole} against {limit}"
        );
    }
    for bad in [
        0.0,
        -0.1,
        1.000_001,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        assert!(Share::new("test", bad).is_err(), "{bad}");
    }
}

// proves: CB-7
#[test]
fn the_open_time_is_never_below_what_was_configured() {
    let seconds = Duration::from_secs;
    for open_for in [
        Duration::ZERO,
        Duration::from_nanos(1),
        seconds(60),
        seconds(7200),
        Duration::MAX,
    ] {
        for (jitter, growth) in [(0.0, 1.0), (0.2, 1.0), (1.0, 2.0), (0.2, 100.0)] {
            let config = Config {
                open_for,
                jitter,
                growth,
                ..Config::default()
            };
            for reopened in [0, 1, 10, 1000, u32::MAX] {
                for hint in [None, Some(seconds(1)), Some(Duration::MAX)] {
                    let shortest = config.open_time(reopened, hint, 0);
                    let longest = config.open_time(reopened, hint, u64::MAX);
                    let bound = open_for.max(config.max_open_for);
                    assert!(open_for <= shortest && shortest <= longest);
                    assert!(shortest <= bound, "growth and hints stop at their bound");
                    assert!(
                        longest.as_secs_f64() <= bound.as_secs_f64() * (1.0 + jitter) * 1.000_001
                    );
                }
            }
        }
    }
}

#[test]
fn growth_multiplies_and_a_hint_is_a_floor() {
    let config = Config {
        jitter: 0.0,
        growth: 3.0,
        open_for: Duration::from_secs(2),
        ..Config::default()
    };
    let open_time = |reopened, hint: Option<u64>| {
        config
            .open_time(reopened, hint.map(Duration::from_secs), 0)
            .as_secs()
    };
    assert_eq!(
        [0, 1, 2, 3].map(|reopened| open_time(reopened, None)),
        [2, 6, 18, 54]
    );
    assert_eq!(open_time(0, Some(9)), 9);
    assert_eq!(open_time(2, Some(9)), 18);
    assert_eq!(open_time(0, Some(10_000)), 600);
}
