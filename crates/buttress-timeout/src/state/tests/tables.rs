//! Single steps, and what must come of them.

use std::time::Duration;

use buttress_sync::atomic::Ordering;
use buttress_timer::Moment;

use crate::state::{Allowance, MOST_CLIMBERS, Outcome, Rule, State, Trial, Turn};

const SECOND: Duration = Duration::from_secs(1);
const CEILING: Duration = Duration::from_secs(60);

pub(super) const RULE: Rule = Rule {
    quantile: 0.95,
    factor: 1.5,
    min_samples: 100,
    floor: Duration::from_millis(10),
    ceiling: CEILING,
};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(elapsed: Duration) -> Moment {
    Moment::after_start(elapsed)
}

/// Calls that come one after the other, each as soon as the one before has ended.
struct Calls {
    state: State,
    now: Duration,
}

impl Calls {
    fn new(rule: Rule) -> Self {
        Self {
            state: State::new(rule, 7),
            now: Duration::ZERO,
        }
    }

    fn end(&mut self, calls: u32, outcome: Outcome, took: Duration) -> Vec<Turn> {
        let mut turns = Vec::new();
        for _ in 0..calls {
            self.now += took;
            let turn = self.state.settle(Trial::None, outcome, took, at(self.now));
            turns.extend(turn.map(|(turn, _)| turn));
        }
        turns
    }

    fn assert_timeout_near(&self, expected: Duration) {
        let timeout = self.state.timeout();
        let error = timeout.abs_diff(expected).as_secs_f64() / expected.as_secs_f64();
        assert!(error <= 0.032, "{timeout:?} is not about {expected:?}");
    }

    /// Calls that start at different moments of the next second, and take nothing.
    fn allowances(&self, calls: u32) -> Vec<Allowance> {
        let moments = (0..calls).map(|call| self.now + SECOND * call / calls);
        moments.map(|moment| self.state.allow(at(moment))).collect()
    }
}

// proves: AT-2
#[test]
fn the_first_ninety_nine_calls_change_nothing_and_the_hundredth_does() {
    let mut calls = Calls::new(RULE);
    calls.end(99, Outcome::Completed, millis(100));
    assert_eq!(calls.state.timeout(), CEILING);
    assert!(calls.allowances(1000).iter().all(|allowed| *allowed
        == Allowance {
            limit: CEILING,
            trial: Trial::None
        }));
    calls.end(1, Outcome::Completed, millis(100));
    calls.assert_timeout_near(millis(150));
}

#[test]
fn calls_that_were_cut_are_none_of_the_first_hundred() {
    let mut calls = Calls::new(RULE);
    calls.end(99, Outcome::Completed, millis(100));
    calls.end(50, Outcome::TimedOut, millis(100));
    calls.end(50, Outcome::Censored, millis(100));
    calls.end(50, Outcome::Nothing, millis(100));
    assert_eq!(calls.state.timeout(), CEILING);
}

#[test]
fn floor_and_ceiling_hold() {
    let mut fast = Calls::new(RULE);
    fast.end(20_000, Outcome::Completed, Duration::from_micros(50));
    assert_eq!(fast.state.timeout(), RULE.floor);
    let mut slow = Calls::new(RULE);
    slow.end(200, Outcome::Completed, millis(50_000));
    assert_eq!(slow.state.timeout(), CEILING);
}

#[test]
fn it_goes_up_at_once_and_down_after_the_long_horizon() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    calls.assert_timeout_near(millis(30));
    // A tenth of the short horizon.
    calls.end(30, Outcome::Completed, millis(25));
    calls.assert_timeout_near(Duration::from_micros(37_500));
    calls.end(1000, Outcome::Completed, millis(20));
    calls.assert_timeout_near(millis(30));
    calls.end(100, Outcome::Completed, millis(200));
    calls.assert_timeout_near(millis(300));
    let slow_until = calls.now;
    while calls.now < slow_until + millis(4_000) {
        calls.end(1, Outcome::Completed, millis(20));
    }
    calls.assert_timeout_near(millis(300));
    while calls.now < slow_until + millis(30_200) {
        calls.end(1, Outcome::Completed, millis(20));
    }
    calls.assert_timeout_near(millis(30));
}

#[test]
fn it_stays_where_it_is_while_too_many_are_cut_to_learn_from() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    let before = calls.state.timeout();
    assert_eq!(calls.end(200, Outcome::TimedOut, before), [Turn::Frozen]);
    assert_eq!(calls.state.timeout(), before);
    assert_eq!(
        calls.end(600, Outcome::Completed, millis(20)),
        [Turn::Resumed]
    );
    assert_eq!(calls.state.timeout(), before);
}

#[test]
fn one_in_sixty_four_is_given_four_times_as_long() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    let timeout = calls.state.timeout();
    let allowances = calls.allowances(64_000);
    let exploring = allowances.iter().filter(|allowed| {
        let explores = allowed.trial == Trial::Explores;
        assert_eq!(allowed.limit, if explores { timeout * 4 } else { timeout });
        explores
    });
    let exploring = exploring.count();
    assert!((900..1100).contains(&exploring), "{exploring}");
}

#[test]
fn while_it_is_frozen_one_in_eight_climbs_but_only_a_few_at_once() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    calls.end(200, Outcome::TimedOut, millis(30));
    let climbs = |allowed: &&Allowance| allowed.trial != Trial::None;
    let allowances = calls.allowances(800);
    let climbing: Vec<_> = allowances.iter().filter(climbs).collect();
    assert_eq!(climbing.len() as u64, MOST_CLIMBERS);
    assert!(
        climbing
            .iter()
            .all(|allowed| allowed.limit > calls.state.timeout() * 4)
    );
    // Each gives its place back.
    for allowed in climbing {
        let now = at(calls.now);
        calls
            .state
            .settle(allowed.trial, Outcome::Nothing, millis(1), now);
    }
    let again = calls.allowances(800);
    assert_eq!(again.iter().filter(climbs).count() as u64, MOST_CLIMBERS);
}

#[test]
fn the_ladder_ends_at_the_ceiling_and_hopeless_climbers_end_it() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    calls.end(1000, Outcome::TimedOut, millis(30));
    let allowances = calls.allowances(800);
    let climbing: Vec<_> = allowances
        .iter()
        .filter(|allowed| allowed.trial != Trial::None)
        .collect();
    for allowed in &climbing {
        assert_eq!(allowed.limit, CEILING);
        assert!(matches!(allowed.trial, Trial::ClimbsToTheTop(_)));
        let now = at(calls.now);
        let _ = calls
            .state
            .settle(allowed.trial, Outcome::TimedOut, CEILING, now);
    }
    calls.end(10, Outcome::TimedOut, millis(30));
    let rested = calls.allowances(6400);
    assert!(
        rested
            .iter()
            .all(|allowed| matches!(allowed.trial, Trial::None | Trial::Explores))
    );
    // Half a minute later somebody looks again.
    calls.end(1000, Outcome::TimedOut, millis(30));
    let again = calls.allowances(800);
    assert!(
        again
            .iter()
            .any(|allowed| matches!(allowed.trial, Trial::Climbs(_)))
    );
}

#[test]
fn a_climber_that_sees_further_forbids_to_give_up() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    calls.end(1000, Outcome::TimedOut, millis(30));
    for outcome in [Outcome::TimedOut, Outcome::Completed] {
        let now = at(calls.now);
        let allowances = calls.allowances(800);
        let mut climbing = allowances
            .iter()
            .filter(|allowed| allowed.trial != Trial::None);
        let last = climbing.next_back().unwrap();
        for allowed in climbing {
            calls
                .state
                .settle(allowed.trial, Outcome::TimedOut, CEILING, now);
        }
        calls.state.settle(last.trial, outcome, CEILING / 2, now);
    }
    assert_eq!(calls.state.hopeless.load(Ordering::Relaxed), 0);
}

#[test]
fn who_still_climbs_an_old_ladder_takes_no_place_on_the_next_and_says_nothing_of_it() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    calls.end(1000, Outcome::TimedOut, millis(30));
    let of_old: Vec<_> = calls.allowances(800);
    calls.end(600, Outcome::Completed, millis(20));
    calls.end(1000, Outcome::TimedOut, millis(30));
    let climbs = |allowed: &&Allowance| allowed.trial != Trial::None;
    let again = calls.allowances(800);
    assert_eq!(again.iter().filter(climbs).count() as u64, MOST_CLIMBERS);
    for allowed in of_old.iter().filter(climbs) {
        let now = at(calls.now);
        calls
            .state
            .settle(allowed.trial, Outcome::TimedOut, CEILING, now);
    }
    assert_eq!(calls.state.hopeless.load(Ordering::Relaxed), 0);
    assert_eq!(
        calls.allowances(800).iter().filter(climbs).count(),
        0,
        "the places are taken"
    );
}

#[test]
fn one_that_is_slow_by_chance_does_not_speak_for_all_who_are_cut() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    let before = calls.state.timeout();
    for slow in 0..2 {
        calls.end(400, Outcome::Completed, millis(2));
        calls.end(100, Outcome::TimedOut, before);
        calls.now -= SECOND * 5;
        calls.end(1, Outcome::Completed, SECOND * 5);
        calls.end(1, Outcome::Completed, millis(2));
        assert_eq!(calls.state.timeout(), before, "{slow}");
    }
}

#[test]
fn whoever_gives_up_long_before_the_timeout_teaches_nothing() {
    let mut calls = Calls::new(RULE);
    calls.end(600, Outcome::Completed, millis(20));
    let (before, _) = calls.state.look(at(calls.now));
    calls.end(10_000, Outcome::Censored, millis(2));
    let (after, _) = calls.state.look(at(calls.now));
    assert_eq!(after.censored(), 0);
    assert!(after.completed() + 300 > before.completed());
    calls.end(5, Outcome::Censored, millis(20));
    assert_eq!(calls.state.look(at(calls.now)).0.censored(), 5);
}

#[test]
fn any_moment_and_any_time_are_safe() {
    let state = State::new(RULE, 0);
    for moment in [Duration::ZERO, SECOND, Duration::MAX, SECOND] {
        for took in [Duration::ZERO, Duration::MAX] {
            for outcome in [Outcome::Completed, Outcome::TimedOut, Outcome::Censored] {
                for _ in 0..200 {
                    let _ = state.allow(at(moment));
                    let _ = state.settle(Trial::None, outcome, took, at(moment));
                }
            }
        }
    }
    assert!(state.timeout() >= RULE.floor && state.timeout() <= RULE.ceiling);
}

// proves: AT-5
#[test]
fn it_fits_into_32_kib_whatever_happens() {
    // Nothing in them is on the heap.
    let size = size_of::<State>() + size_of::<crate::shared::Shared>();
    assert!(size <= 32 * 1024, "{size} bytes");
}
