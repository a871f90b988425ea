//! A server with a load of seven tenths stalls for ten seconds. Do the retries of its clients let it come back?
//!
//! The table of all policies, numbers of clients and seeds:
//! `BUTTRESS_DEEP=1 cargo test --release -p tests --test it retry_storm -- --nocapture`

mod control;
mod independent;
mod load;
mod server;

use std::fmt;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use buttress_core::WidenLayer;
use buttress_retry::Retry;
use buttress_testkit::{deep, seed};
use tower::retry::RetryLayer;
use tower::{Layer, service_fn};

use control::Control;
use load::{Chance, Cohorts, Load, simulate};
use server::Server;

/// Calls a second; the server is up to a thousand.
const RATE: u32 = 700;

/// How many there are to share it.
const CLIENTS: [usize; 3] = [10, 100, 1000];

/// In seconds, as everything here.
const STALL_START: u64 = 30;
const STALL_END: u64 = 40;

/// How long after the stall the clients are watched; whoever is not served again then counts as never.
const PATIENCE: u64 = 200;

/// The load is looked at this long from the start of the stall.
const LOAD_LOOKED_AT: u64 = 70;

// === A run ===

/// What the clients do when an attempt fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    /// A `Retry` as it comes.
    Default,
    /// Three retries, whatever happens.
    Naive,
    /// Three retries within the default of tower's budget.
    Tps,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    policy: Policy,
    clients: usize,
    seed: u64,
}

/// What a stall did to the server and to its clients.
struct Aftermath {
    /// Attempts for each call.
    amplification: f64,
    /// After how many seconds the clients were served again.
    recovery: Option<u64>,
}

impl Case {
    async fn run(self) -> Aftermath {
        let chance = Chance::seeded(self.seed);
        let second = Duration::from_secs;
        let server = Server::new(second(STALL_START)..second(STALL_END), chance.clone());
        let load = Load {
            rate: RATE,
            end: second(STALL_END + PATIENCE),
        };
        let called = server.clone();
        let service = service_fn(move |()| called.attempt());
        let naive = || RetryLayer::new(Control::naive(&chance)).layer(service.clone());
        let tps = || RetryLayer::new(Control::within_tps_budget(&chance)).layer(service.clone());
        // Each client is a process of its own, with a budget of its own.
        let ours = || {
            let retry = Retry::builder("storm").build();
            retry.layer().layer(WidenLayer.layer(service.clone()))
        };
        let cohorts = match self.policy {
            Policy::Default => load.offer(&many(self.clients, ours), &chance).await,
            Policy::Naive => load.offer(&many(self.clients, naive), &chance).await,
            Policy::Tps => load.offer(&many(self.clients, tps), &chance).await,
        };
        Aftermath::of(&server, &cohorts)
    }
}

fn many<S>(count: usize, client: impl Fn() -> S) -> Vec<S> {
    (0..count).map(|_| client()).collect()
}

impl Aftermath {
    fn of(server: &Server, cohorts: &Cohorts) -> Self {
        let looked_at = STALL_START..STALL_START + LOAD_LOOKED_AT;
        let attempts = server.attempts.within(looked_at.clone());
        Self {
            amplification: attempts as f64 / cohorts.calls.within(looked_at) as f64,
            recovery: recovery(cohorts),
        }
    }
}

/// The clients are served again from the first of ten seconds in each of which 99 of 100 calls succeed.
fn recovery(cohorts: &Cohorts) -> Option<u64> {
    let is_served = |second| cohorts.success(second..second + 1) >= 99.0;
    let mut seconds = STALL_END..=STALL_END + PATIENCE - 10;
    let recovered = seconds.find(|&second| (second..second + 10).all(is_served));
    recovered.map(|second| second - STALL_END)
}

// === All of them ===

/// Runs all cases, two at a time: each fills a thread for a second.
fn run_all(cases: Vec<Case>) -> Vec<(Case, Aftermath)> {
    let (cases, done) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    let next = || cases.lock().unwrap().next();
    let work = || {
        while let Some(case) = next() {
            let aftermath = simulate(case.run());
            done.lock().unwrap().push((case, aftermath));
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(case, _)| case.seed);
    done
}

impl fmt::Display for Aftermath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = self.amplification;
        match self.recovery {
            Some(seconds) => write!(f, "{load:.3} / {seconds} s"),
            None => write!(f, "{load:.3} / never"),
        }
    }
}

fn print_table(done: &[(Case, Aftermath)]) {
    println!("load amplification / recovery of each seed");
    for policy in [Policy::Default, Policy::Tps, Policy::Naive] {
        for clients in CLIENTS {
            let row = done
                .iter()
                .filter(|(case, _)| (case.policy, case.clients) == (policy, clients));
            let row: Vec<_> = row.map(|(_, aftermath)| aftermath.to_string()).collect();
            if !row.is_empty() {
                println!("{policy:>8?} {clients:>5} clients   {}", row.join("   "));
            }
        }
    }
}

/// A default budget lets the server come back about as soon as no retries at all do, which takes 23 s: the work of those that
/// have left is to be done.
fn assert_as_promised(case: Case, aftermath: &Aftermath) {
    match (case.policy, case.clients) {
        (Policy::Default, clients) => {
            assert!(aftermath.amplification <= 1.10, "{case:?}: {aftermath}");
            let longest = if clients > 100 { 36 } else { 30 };
            let recovered = aftermath.recovery.is_some_and(|after| after <= longest);
            assert!(recovered, "{case:?}: {aftermath}");
        }
        // Ten retries a second for each of a few clients are not enough to keep it down.
        (Policy::Tps, 10) => {}
        (Policy::Naive | Policy::Tps, _) => {
            assert_eq!(aftermath.recovery, None, "{case:?}: {aftermath}");
        }
    }
}

// proves: RB-1
#[test]
fn a_server_that_stalled_comes_back_under_our_retries_and_never_under_others() {
    // A seed fixes the load and the service times; the jitter of a `Retry` is not seeded.
    let (seed, seeds) = (seed(), deep(1, 3));
    let clients = deep(&CLIENTS[1..], &CLIENTS);
    let policies = [Policy::Naive, Policy::Tps, Policy::Default];
    let cases = policies.into_iter().flat_map(|policy| {
        let seeds = move |&clients| {
            (0..seeds).map(move |n| Case {
                policy,
                clients,
                seed: seed.wrapping_add(n),
            })
        };
        clients.iter().flat_map(seeds)
    });
    let done = run_all(cases.collect());
    print_table(&done);
    for (case, aftermath) in &done {
        assert_as_promised(*case, aftermath);
    }
}
