//! What a timeout does while the times of calls change, with 200 of them a second: experiments T1 and T2.
//!
//! The table of all policies, changes and seeds:
//! `BUTTRESS_DEEP=1 cargo test --release -p buttress-timeout --test it adaptation -- --nocapture`

#[expect(clippy::indexing_slicing, reason = "only tests call it")]
mod naive;
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests call it"
)]
mod traffic;

use std::env;
use std::time::Duration;

use buttress_testkit::{deep, seed};
use buttress_timeout::AdaptiveTimeout;
use tower::{Layer, ServiceExt, service_fn};

use naive::Naive;
use traffic::{Call, Change, Run, Traffic};

/// What decides how long a call may take.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    /// An `AdaptiveTimeout` as it comes.
    Default,
    /// 1.5 times the 95th percentile of the last thousand calls that were answered.
    Naive,
}

impl Policy {
    fn run(self, change: Change, seed: u64) -> Run {
        let traffic = Traffic { change, seed };
        match self {
            Self::Default => traffic.run(|| {
                let timeout = AdaptiveTimeout::builder("t").seed(seed).build();
                let service = timeout.layer().layer(service_fn(traffic::answer));
                let call = move |call: Call| service.clone().oneshot(call);
                (call, move || timeout.current_timeout())
            }),
            Self::Naive => traffic.run(|| {
                let timeout = Naive::default();
                let shown = timeout.clone();
                let call = move |call: Call| timeout.clone().call(traffic::answer(call));
                (call, move || shown.current())
            }),
        }
    }
}

/// The bounds are those of an average run, and one in thirty takes a little longer: so the seeds are always the same, unless another
/// first one is asked for.
fn each_seed(mut check: impl FnMut(u64)) {
    let first = env::var("BUTTRESS_SEED").map_or(1, |_| seed());
    (0..deep(1, 5)).for_each(|offset| check(first.wrapping_add(offset)));
}

#[expect(clippy::print_stdout, reason = "the figures of the documentation")]
fn shown(policy: Policy, change: Change, seed: u64) -> Run {
    let run = policy.run(change, seed);
    println!("{policy:?}, {change:?}, seed {seed}: {run}");
    run
}

/// Few calls are cut after the change, and soon no more than before.
fn adapts(run: &Run) -> bool {
    run.cut_in_first_minute <= 0.04
        && run
            .adapted_after
            .is_some_and(|after| after <= Duration::from_secs(2))
}

// proves: AT-3
#[test]
fn after_a_slow_down_few_calls_are_cut_and_soon_none() {
    for change in [Change::TenTimes, Change::Plus300Ms] {
        each_seed(|seed| {
            let run = shown(Policy::Default, change, seed);
            assert!(adapts(&run), "{run}");
            assert!(run.is_back(), "{run}");
        });
    }
}

#[test]
fn calls_that_hang_do_not_lengthen_the_others_nor_do_a_few_slow_ones_among_them() {
    for change in [Change::ThirtyPercentHang, Change::SomeHangAndFewAreSlow] {
        each_seed(|seed| {
            let run = shown(Policy::Default, change, seed);
            assert!(run.mean_wait <= Duration::from_millis(150), "{run}");
            let longest = run.timeout_before.mul_f64(2.5);
            assert!(run.timeout_at_end <= longest, "{run}");
            assert!(run.is_back(), "{run}");
        });
    }
}

/// The control: what everybody writes first.
#[test]
fn a_percentile_of_answered_calls_collapses() {
    for change in [Change::TenTimes, Change::Plus300Ms] {
        each_seed(|seed| {
            let run = shown(Policy::Naive, change, seed);
            assert!(!adapts(&run), "{run}");
            assert!(run.cut_in_first_minute > 0.2, "{run}");
        });
    }
}
