//! Both budgets against naive models: lists of what happened, counted anew each time.

use std::time::Duration;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use buttress_timer::Moment;

use super::deposits::{Deposits, Terms};
use super::sliding::Sliding;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(elapsed: Duration) -> Moment {
    Moment::after_start(elapsed)
}

/// A time that mostly goes on a little, and sometimes a lot.
fn later(now: Duration, random: &Random) -> Duration {
    let most = [1, 1_000, 100_000, 20_000_000][(random.next_u64() % 4) as usize];
    now + Duration::from_micros(random.next_u64() % most)
}

// proves: RB-1, RB-3
#[test]
fn a_sliding_budget_lets_no_retry_go_above_its_share_of_the_window() {
    let random = Random::seeded(seed());
    let (mut let_go, mut refused) = (0_u64, 0_u64);
    for _ in 0..deep(200, 20_000) {
        let window = SECOND * (1 + (random.next_u64() % 20) as u32) / 2;
        let percent = 1 + random.next_u64() % 100;
        let budget = Sliding::new(percent as u32 * 10_000, window);
        let (mut firsts, mut retries, mut now) = (Vec::new(), Vec::new(), Duration::ZERO);
        for _ in 0..300 {
            now = later(now, &random);
            if !random.next_u64().is_multiple_of(4) {
                budget.requested(at(now));
                firsts.push(now);
                continue;
            }
            let within = |times: &[Duration], span: Duration| {
                let inside = times.iter().filter(|&&time| time + span > now);
                inside.count() as u64
            };
            let slots = window / 32;
            if budget.take(at(now)).is_some() {
                retries.push(now);
                let_go += 1;
                assert!(within(&retries, window) * 100 <= percent * within(&firsts, window));
            } else {
                // Rounded against the retry by two slots at most.
                refused += 1;
                let spent = within(&retries, window + slots) + 1;
                assert!(spent * 100 > percent * within(&firsts, window - slots));
            }
        }
    }
    println!("{let_go} let go, {refused} refused");
    assert!(let_go > 1_000 && refused > 1_000);
}

// proves: RB-1
#[test]
fn in_any_window_the_default_budget_lets_go_no_more_than_successes_cap_and_floor_pay() {
    let random = Random::seeded(seed());
    let (mut let_go, mut refused) = (0_u64, 0_u64);
    for _ in 0..deep(300, 20_000) {
        let terms = Terms {
            deposit: 100,
            refund: false,
        };
        let budget = Deposits::new(terms, Moment::START);
        let (mut requests, mut now) = (0_u64, Duration::ZERO);
        // Of the worst window so far: what was let go above a tenth of the successes and the floor.
        let (mut excess, mut worst, mut largest_cap) = (0.0_f64, 0.0_f64, 3.0_f64);
        let fails = random.next_u64() % 100;
        let pause = 1 + random.next_u64() % 200_000;
        for _ in 0..400 {
            let passed = Duration::from_micros(random.next_u64() % pause);
            now += passed;
            excess -= passed.as_secs_f64() / 50.0;
            requests += 1;
            if random.next_u64() % 100 >= fails {
                budget.succeeded();
                excess -= 0.1;
            } else if budget.take(at(now), || requests) {
                let_go += 1;
                excess += 1.0;
            } else {
                refused += 1;
            }
            excess = excess.max(0.0);
            worst = worst.max(excess);
            largest_cap = largest_cap.max(budget.cap());
        }
        assert!(
            worst <= largest_cap + 0.03,
            "{worst} above, with a cap of {largest_cap}"
        );
    }
    println!("{let_go} let go, {refused} refused");
    assert!(let_go > 1_000 && refused > 1_000);
}

/// Long pauses, in which the cap falls, and bursts in which it rises and nothing succeeds: none of that brings a retry.
// proves: RB-1
#[test]
fn a_rate_that_falls_and_rises_brings_nothing() {
    let terms = Terms {
        deposit: 100,
        refund: false,
    };
    let budget = Deposits::new(terms, Moment::START);
    let (mut requests, mut now, mut let_go) = (0, Duration::ZERO, 0_u32);
    let mut largest_cap = 3.0_f64;
    for _ in 0..20 {
        for _ in 0..16 {
            now += 10 * SECOND;
            let _ = budget.has_some(at(now), || requests);
        }
        requests += 1_000;
        now += SECOND;
        for _ in 0..1_000 {
            let_go += u32::from(budget.take(at(now), || requests));
        }
        largest_cap = largest_cap.max(budget.cap());
    }
    let paid = largest_cap + now.as_secs_f64() / 50.0;
    assert!(largest_cap > 50.0, "the cap did not rise: {largest_cap}");
    assert!(
        f64::from(let_go) <= paid,
        "{let_go} let go, {paid} paid for"
    );
}

/// What a pause takes away is there again after it.
#[test]
fn a_pause_costs_nothing() {
    let terms = Terms {
        deposit: 100,
        refund: false,
    };
    let budget = Deposits::new(terms, Moment::START);
    let (mut requests, mut now) = (0, Duration::ZERO);
    let mut let_go = [0, 0];
    for let_go in &mut let_go {
        for _ in 0..60 {
            now += SECOND;
            requests += 100;
            let _ = budget.has_some(at(now), || requests);
            (0..100).for_each(|_| budget.succeeded());
        }
        let free = std::iter::from_fn(|| budget.take(at(now), || requests).then_some(()));
        *let_go = free.take(40).count();
        // A pause, with a look at it now and then.
        for _ in 0..60 {
            now += 10 * SECOND;
            let _ = budget.has_some(at(now), || requests);
        }
    }
    assert_eq!(let_go, [40, 40]);
}

// proves: RB-1
#[test]
fn the_cap_is_a_tenth_of_ten_seconds_of_ones_own_requests() {
    let terms = Terms {
        deposit: 100,
        refund: false,
    };
    let budget = Deposits::new(terms, Moment::START);
    for second in 1..=60 {
        let _ = budget.take(at(SECOND * second), || u64::from(second) * 100);
        (0..100).for_each(|_| budget.succeeded());
    }
    assert!((budget.cap() - 100.0).abs() < 1.0, "{}", budget.cap());
    let spent = (0..1_000)
        .filter(|_| budget.take(at(SECOND * 60), || 6_000))
        .count();
    assert!((95..=100).contains(&spent), "{spent}");
    assert!(!budget.has_some(at(SECOND * 60), || 6_000));
}

#[test]
fn an_idle_client_may_find_out_every_fifty_seconds() {
    let terms = Terms {
        deposit: 100,
        refund: false,
    };
    let budget = Deposits::new(terms, Moment::START);
    let takes = |second: u32| budget.take(at(SECOND * second), || 0);
    assert!(takes(1) && takes(1) && takes(1) && !takes(1));
    assert!(!takes(49) && takes(52) && !takes(53));
    assert!(takes(100_000) && takes(100_000) && takes(100_000) && !takes(100_000));
}

#[test]
fn refunds_pay_for_retries_that_succeed() {
    for (refund, expected) in [(false, 3), (true, 50)] {
        let budget = Deposits::new(Terms { deposit: 0, refund }, Moment::START);
        let retried = (0..50).filter(|_| {
            let taken = budget.take(Moment::START, || 0);
            budget.retry_succeeded();
            taken
        });
        assert_eq!(retried.count(), expected);
    }
}

/// SPEC: a fresh budget allows retries; one with too many recorded retries refuses; the figures add up.
#[tokio::test(start_paused = true)]
async fn a_fresh_budget_allows_retries_and_a_spent_one_refuses_and_the_figures_add_up() {
    let budget = RetryBudget::builder("inventory").build();
    (0..20).for_each(|_| budget.requested());
    assert!(budget.snapshot().within_budget);
    while let Some(token) = budget.try_retry() {
        token.sent();
    }
    let snapshot = budget.snapshot();
    assert_eq!((snapshot.total_requests, snapshot.total_retries), (20, 3));
    assert!((snapshot.retry_rate_percent - 15.0).abs() < 1e-9);
    assert!((snapshot.budget_percent - 10.0).abs() < 1e-9);
    assert!(!snapshot.within_budget);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_sent_goes_back() {
    for budget in [
        RetryBudget::builder("deposits").build(),
        RetryBudget::sliding(1.0, SECOND),
    ] {
        (0..3).for_each(|_| budget.requested());
        for _ in 0..10 {
            let tokens: Vec<_> = std::iter::from_fn(|| budget.try_retry()).collect();
            assert_eq!(tokens.len(), 3);
        }
        assert_eq!(budget.snapshot().total_retries, 0);
    }
}

/// T13: whatever share is asked for is what is let go.
// proves: RB-1
#[tokio::test(start_paused = true)]
async fn the_ratio_is_exact() {
    for percent in [1, 10, 30, 51, 60, 75, 99, 100] {
        let budget = RetryBudget::sliding(f64::from(percent) / 100.0, 10 * SECOND);
        (0..1_000).for_each(|_| budget.requested());
        let let_go = std::iter::from_fn(|| budget.try_retry()).map(RetryToken::sent);
        assert_eq!(let_go.count(), percent as usize * 10);
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let refused = RetryBudget::builder("budget").ratio(ratio).try_build();
        assert_eq!(refused.unwrap_err().setting(), "ratio");
    }
    let refused = RetryBudget::builder("budget")
        .sliding(SECOND / 100)
        .try_build();
    assert_eq!(refused.unwrap_err().setting(), "window");
    for window in [SECOND, Duration::MAX] {
        let budget = RetryBudget::sliding(0.5, window);
        budget.requested();
        assert!(budget.try_retry().is_none());
    }
}

// proves: RB-2
#[test]
fn eight_threads_never_overdraw_it() {
    let terms = Terms {
        deposit: 100,
        refund: false,
    };
    let budget = Deposits::new(terms, Moment::START);
    let each = deep(20_000, 1_250_000);
    let seed = seed();
    let (taken, succeeded) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (budget, taken, succeeded) = (&budget, &taken, &succeeded);
            scope.spawn(move || {
                let random = Random::seeded(seed ^ thread);
                for _ in 0..each {
                    if random.next_u64().is_multiple_of(4) {
                        budget.succeeded();
                        succeeded.fetch_add(1, Ordering::Relaxed);
                    } else if budget.take(Moment::START, || 0) {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (taken, succeeded) = (taken.into_inner(), succeeded.into_inner());
    assert!(
        taken <= 3 + succeeded / 10,
        "{taken} taken, {succeeded} succeeded"
    );
    assert!(taken > 3, "successes bring something");
}
