//! Attempts that fail independently of each other and of the load: retries are worth what they cost, until everything fails.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_core::{Error, WidenLayer};
use buttress_retry::{Event, Retry, RetryBudget};
use buttress_testkit::seed;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, service_fn};

use super::load::{Chance, Load, PerSecond, simulate};

const CLIENTS: u32 = 50;
/// Calls of a client in a second.
const RATE: u32 = 10;

/// In seconds, after the warm-up.
const MEASURED: Range<u64> = 20..220;

/// A dependency whose attempts fail with this probability, from some second on.
#[derive(Clone)]
struct Flaky {
    start: Instant,
    probability: f64,
    from: u64,
    chance: Chance,
    attempts: PerSecond,
}

/// What became of the calls of the measured time, in percent of them.
struct Share {
    succeeded: f64,
    attempted: f64,
}

impl Flaky {
    fn new(probability: f64, from: u64) -> Self {
        Self {
            start: Instant::now(),
            probability,
            from,
            chance: Chance::seeded(seed()),
            attempts: PerSecond::default(),
        }
    }

    async fn attempt(self) -> Result<(), fmt::Error> {
        let now = self.start.elapsed();
        self.attempts.add(now);
        let fails = now.as_secs() >= self.from && self.chance.unit() < self.probability;
        if fails { Err(fmt::Error) } else { Ok(()) }
    }

    /// What a client stands before.
    fn behind(
        &self,
        retry: &Retry,
    ) -> impl Service<(), Response = (), Error = Error<fmt::Error>, Future: Send> + Clone + Send + use<>
    {
        let flaky = self.clone();
        let service = service_fn(move |()| flaky.clone().attempt());
        retry.layer().layer(WidenLayer.layer(service))
    }

    async fn under<S>(&self, client: impl Fn() -> S) -> Share
    where
        S: Service<(), Future: Send> + Clone + Send + 'static,
    {
        let clients: Vec<_> = (0..CLIENTS).map(|_| client()).collect();
        let load = Load {
            rate: CLIENTS * RATE,
            end: Duration::from_secs(MEASURED.end),
        };
        let cohorts = load.offer(&clients, &self.chance).await;
        let attempts = self.attempts.within(MEASURED) as f64;
        Share {
            succeeded: cohorts.success(MEASURED),
            attempted: 100.0 * attempts / cohorts.calls.within(MEASURED) as f64,
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (succeeded, attempted) = (self.succeeded, self.attempted);
        write!(f, "{succeeded:.2} % succeed, {attempted:.2} % load")
    }
}

// === The default, without and with refunds ===

fn plain() -> Retry {
    Retry::builder("flaky").build()
}

fn refunding() -> Retry {
    let budget = RetryBudget::builder("flaky").refund_successful_retries();
    Retry::builder("flaky").budget(&budget.build()).build()
}

/// They fail from the start: what a fresh budget holds is spent when the measurement begins.
#[test]
fn of_calls_whose_attempts_fail_one_time_in_ten_nearly_all_succeed() {
    for (retry, least) in [(plain as fn() -> Retry, 98.5), (refunding, 99.9)] {
        let share = simulate(async {
            let flaky = Flaky::new(0.1, 0);
            flaky.under(|| flaky.behind(&retry())).await
        });
        println!("at least {least} % expected: {share}");
        assert!(share.succeeded >= least, "{share}");
    }
}

/// They fail from the start of the measurement: all that was saved in better times is spent on it.
// proves: RB-1
#[test]
fn when_everything_fails_the_load_grows_by_less_than_a_hundredth() {
    for retry in [plain, refunding] {
        let share = simulate(async {
            let flaky = Flaky::new(1.0, MEASURED.start);
            flaky.under(|| flaky.behind(&retry())).await
        });
        println!("{share}");
        assert!((100.0..=101.0).contains(&share.attempted), "{share}");
    }
}

// === A sliding budget ===

const WINDOW: Duration = Duration::from_secs(10);

/// The first attempts and the retries of one client, each in their order.
#[derive(Default)]
struct Log {
    first_attempts: Vec<Instant>,
    retries: Vec<Instant>,
}

impl Log {
    /// A retry is let go: the trailing window is counted anew, with it.
    fn retry(&mut self) {
        let now = Instant::now();
        self.retries.push(now);
        let within = |times: &[Instant]| {
            let inside = times.iter().rev().take_while(|&&time| time + WINDOW > now);
            inside.count()
        };
        let (retries, first_attempts) = (within(&self.retries), within(&self.first_attempts));
        assert!(
            10 * retries <= first_attempts,
            "{retries} of {first_attempts}"
        );
    }
}

/// A client whose retries are compared with its log as soon as they are let go.
fn watched(
    flaky: &Flaky,
    log: Arc<Mutex<Log>>,
) -> impl Service<(), Future: Send> + Clone + Send + use<> {
    let noted = Arc::clone(&log);
    let observer = move |event: &Event| {
        if matches!(event, Event::Retried { .. }) {
            noted.lock().unwrap().retry();
        }
    };
    let builder = Retry::builder("flaky").budget(&RetryBudget::sliding(0.1, WINDOW));
    let client = flaky.behind(&builder.observer(observer).build());
    let first_attempt = move |()| log.lock().unwrap().first_attempts.push(Instant::now());
    ServiceBuilder::new()
        .map_request(first_attempt)
        .service(client)
}

// proves: RB-1
#[test]
fn a_sliding_budget_keeps_to_its_share_at_the_moment_of_every_retry() {
    for probability in [0.1, 0.5, 1.0] {
        let logs: Vec<Arc<Mutex<Log>>> = (0..CLIENTS).map(|_| Arc::default()).collect();
        let share = simulate(async {
            let (flaky, next) = (Flaky::new(probability, 0), Mutex::new(logs.iter()));
            let log = || Arc::clone(next.lock().unwrap().next().unwrap());
            flaky.under(|| watched(&flaky, log())).await
        });
        let retries = logs.iter().map(|log| log.lock().unwrap().retries.len());
        let (fewest, all) = (retries.clone().min(), retries.sum::<usize>());
        println!("{share}, {all} retries, {fewest:?} at least of a client");
        // It is a bound, and no prohibition: a share of nearly a tenth is let go.
        assert!(share.attempted >= 107.0, "{share}");
    }
}
