//! Budgets through their public face: exact ratios, credits that expire when they should, long idleness, many threads.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use buttress_retry::{RetryBudget, RetryToken};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use tokio::time::{Instant, advance};
use tower::retry::budget::{Budget, TpsBudget};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

const WINDOW: Duration = Duration::from_secs(10);

/// Sends retries as long as the budget lets any go, and counts them.
fn spend(budget: &RetryBudget) -> u64 {
    let let_go = std::iter::from_fn(|| budget.try_retry());
    let_go.map(RetryToken::sent).count() as u64
}

// === The ratio ===

const REQUESTS: u64 = 1_000;

fn allowed_by_a_sliding_budget(ratio: f64) -> u64 {
    let budget = RetryBudget::sliding(ratio, WINDOW);
    (0..REQUESTS).for_each(|_| budget.requested());
    spend(&budget)
}

/// What the successes bring, without what a fresh budget holds.
fn allowed_by_the_default_budget(ratio: f64) -> u64 {
    let budget = RetryBudget::builder("ratio").ratio(ratio).build();
    let burst = spend(&budget);
    let retries_after_one_more = |_| {
        budget.requested();
        budget.succeeded();
        spend(&budget)
    };
    let earned = (0..REQUESTS).map(retries_after_one_more).sum();
    assert_eq!(budget.snapshot().total_retries, burst + earned);
    earned
}

fn allowed_by_tower(ratio: f64) -> u64 {
    let budget = TpsBudget::new(WINDOW, 0, ratio as f32);
    (0..REQUESTS).for_each(|_| budget.deposit());
    let mut tries = 0..;
    tries.find(|_| !budget.withdraw()).unwrap()
}

// proves: RB-1
#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_what_is_allowed_and_not_the_next_unit_fraction() {
    for percent in [1, 10, 30, 40, 51, 60, 75, 99, 100] {
        let (ratio, asked) = (percent as f64 / 100.0, percent * REQUESTS / 100);
        let allowed = [
            allowed_by_a_sliding_budget(ratio),
            allowed_by_the_default_budget(ratio),
        ];
        let by_tower = allowed_by_tower(ratio);
        println!("{asked} asked: {allowed:?} allowed, {by_tower} by tower");
        assert_eq!(allowed, [asked; 2]);
        // The control: a withdrawal that costs a whole number of deposits allows twice what was asked.
        if (51..100).contains(&percent) {
            assert_eq!(by_tower, REQUESTS);
        }
    }
}

// === Expiry ===

/// How long after now a budget that is touched so often has nothing left.
async fn gone_after(touched_every: Duration, has_some: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while has_some() {
        advance(touched_every).await;
    }
    start.elapsed()
}

// proves: RB-3
#[tokio::test(start_paused = true)]
async fn a_credit_expires_with_its_window_however_often_it_is_touched() {
    for touched_every in [1, 7, 100, 333, 999, 1_000, 1_001].map(|n| n * MILLISECOND) {
        for offset in [0, 50, 100, 155, 777].map(|n| n * MILLISECOND) {
            let budget = RetryBudget::sliding(1.0, WINDOW);
            advance(offset).await;
            (0..100).for_each(|_| budget.requested());
            // A token that is not sent goes back.
            let gone = gone_after(touched_every, || budget.try_retry().is_some()).await;
            let at_most = WINDOW + touched_every;
            assert!(
                WINDOW.mul_f64(0.95) <= gone && gone <= at_most,
                "{gone:?}, touched every {touched_every:?}, {offset:?} after its start"
            );
        }
    }
}

/// The control: ages are counted in rotations, and these depend on the calls.
#[tokio::test(start_paused = true)]
async fn a_credit_of_towers_budget_expires_early_or_late_as_it_is_touched() {
    let gone = async |touched_every: u32| {
        let budget = TpsBudget::new(WINDOW, 0, 1.0);
        (0..1_000).for_each(|_| budget.deposit());
        let gone = gone_after(touched_every * MILLISECOND, || budget.withdraw()).await;
        println!("touched every {touched_every} ms: gone after {gone:?}");
        gone
    };
    let (often, rarely) = (gone(100).await, gone(1_001).await);
    assert!(often > WINDOW && rarely < WINDOW.mul_f64(0.7));
}

// === Idleness ===

/// What a budget lets go after it was idle, at once and after each of forty calls that succeed.
async fn after_idling(budget: &RetryBudget, idle: Duration) -> Vec<u64> {
    (0..500).for_each(|_| budget.requested());
    (0..500).for_each(|_| budget.succeeded());
    spend(budget);
    advance(idle).await;
    let mut let_go = vec![spend(budget)];
    for _ in 0..40 {
        budget.requested();
        budget.succeeded();
        let_go.push(spend(budget));
    }
    let_go
}

/// A fixed number of steps is not seen from outside; steps for each window or second that has passed are: these are centuries,
/// and would take hours.
// proves: RB-1, RB-3
#[tokio::test(start_paused = true)]
async fn the_first_call_after_long_idleness_finds_what_it_finds_after_a_short_one() {
    let budgets = [
        // Slots that lie partly in the window count against the retry: a little longer than the window.
        (
            "sliding",
            WINDOW + SECOND,
            RetryBudget::sliding(0.1, WINDOW),
        ),
        // The time in which the floor fills the smallest cap, and the cap forgets the rate of before.
        (
            "default",
            200 * SECOND,
            RetryBudget::builder("idle").build(),
        ),
    ];
    for (name, shortest, budget) in budgets {
        let expected = after_idling(&budget, shortest).await;
        assert_eq!(
            expected.iter().sum::<u64>(),
            4 + 3 * u64::from(name == "default")
        );
        for idle in [DAY, 30 * DAY, 365 * DAY].into_iter().cycle().take(300) {
            let found = after_idling(&budget, idle).await;
            assert_eq!(
                found,
                expected,
                "{name}, after {} days",
                idle.as_secs() / DAY.as_secs()
            );
        }
    }
}

// === Threads ===

const THREADS: u64 = 8;

/// What eight threads did with a budget.
#[derive(Debug, Default)]
struct Done {
    earned: AtomicU64,
    sent: AtomicU64,
    given_back: AtomicU64,
    refused: AtomicU64,
}

impl Done {
    fn by_eight_threads(budget: &RetryBudget, earn: fn(&RetryBudget)) -> Self {
        let (done, seed) = (Self::default(), seed());
        let work = |thread| {
            let (random, mut held) = (Random::seeded(seed ^ thread), Vec::new());
            for _ in 0..deep(25_000, 1_250_000) {
                done.step(budget, earn, random.next_u64(), &mut held);
            }
        };
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || work(thread));
            }
        });
        println!("{done:?}");
        done
    }

    fn step(
        &self,
        budget: &RetryBudget,
        earn: fn(&RetryBudget),
        chance: u64,
        held: &mut Vec<RetryToken>,
    ) {
        let count = |of: &AtomicU64| of.fetch_add(1, SeqCst);
        match chance % 8 {
            0 | 1 => {
                earn(budget);
                count(&self.earned);
            }
            2 | 3 => {
                if let Some(token) = held.pop() {
                    token.sent();
                    count(&self.sent);
                }
            }
            4 => {
                if held.pop().is_some() {
                    count(&self.given_back);
                }
            }
            _ => match budget.try_retry() {
                Some(token) => held.push(token),
                None => {
                    count(&self.refused);
                }
            },
        }
    }

    /// All that was let go for good, once what is left is spent, too.
    fn spend_the_rest(&self, budget: &RetryBudget) -> u64 {
        for count in [&self.earned, &self.sent, &self.given_back, &self.refused] {
            assert!(count.load(SeqCst) > 500, "{self:?}");
        }
        let all = self.sent.load(SeqCst) + spend(budget);
        assert_eq!(budget.snapshot().total_retries, all);
        all
    }
}

/// All of it lies in one window, so that the bound is exact: nothing is overdrawn, and nothing lost.
// proves: RB-1, RB-2, A-1
#[test]
fn eight_threads_take_from_a_sliding_budget_exactly_its_share() {
    let budget = RetryBudget::sliding(0.1, DAY);
    let done = Done::by_eight_threads(&budget, RetryBudget::requested);
    let all = done.spend_the_rest(&budget);
    assert_eq!(all, done.earned.into_inner() / 10);
}

/// Without requests the cap stays at three; what does not fit below it is lost.
// proves: RB-1, RB-2
#[test]
fn eight_threads_take_from_the_default_budget_no_more_than_was_brought() {
    let (start, budget) = (Instant::now(), RetryBudget::builder("threads").build());
    let done = Done::by_eight_threads(&budget, RetryBudget::succeeded);
    let all = done.spend_the_rest(&budget);
    let floor = start.elapsed().as_secs() / 50 + 1;
    let most = done.earned.into_inner() / 10 + 3 + floor;
    assert!(all <= most, "{all} of {most}");
}
