//! When calls arrive: a Poisson process with a fixed number of calls, repeated by its seed.

use std::time::Duration;

use crate::chance::{Purpose, draw};
use crate::stage::Upstream;

/// One call that both gateways get at the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Names the call: every decision about it is drawn from the seed and this number.
    pub number: u64,
    /// When it is to be sent, counted from the start of the run.
    pub due: Duration,
    pub upstream: Upstream,
}

/// All calls of a run in the order they are due, half of them for each upstream.
///
/// Points drawn evenly over the run and sorted *are* a Poisson process of known size, so the run
/// has bursts and gaps like real traffic and still a fixed number of calls.
pub fn arrivals(seed: u64, rate: u32, total: Duration) -> Vec<Arrival> {
    let calls = (f64::from(rate) * total.as_secs_f64()).round() as u64;
    let mut due: Vec<(Duration, Upstream)> = (0..calls)
        .map(|n| {
            (
                n / 2,
                if n % 2 == 0 {
                    Upstream::Inventory
                } else {
                    Upstream::Payments
                },
            )
        })
        .map(|(n, upstream)| (total.mul_f64(draw(seed, purpose(upstream), n)), upstream))
        .collect();
    due.sort_by_key(|(due, _)| *due);
    let numbered = (0..).zip(due);
    numbered
        .map(|(number, (due, upstream))| Arrival {
            number,
            due,
            upstream,
        })
        .collect()
}

const fn purpose(upstream: Upstream) -> Purpose {
    match upstream {
        Upstream::Inventory => Purpose::InventoryArrival,
        Upstream::Payments => Purpose::PaymentsArrival,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: Duration = Duration::from_secs(40);

    #[test]
    fn the_number_of_calls_is_fixed_and_half_go_to_each_upstream() {
        let all = arrivals(1, 400, TOTAL);
        assert_eq!(all.len(), 16_000);
        let inventory = all
            .iter()
            .filter(|a| a.upstream == Upstream::Inventory)
            .count();
        assert_eq!(inventory, 8_000);
    }

    #[test]
    fn calls_are_due_in_order_and_within_the_run() {
        let all = arrivals(1, 400, TOTAL);
        assert!(all.windows(2).all(|pair| pair[0].due <= pair[1].due));
        assert!(all.iter().all(|a| a.due < TOTAL));
    }

    #[test]
    fn the_seed_repeats_a_run_and_another_seed_makes_another() {
        assert_eq!(arrivals(1, 400, TOTAL), arrivals(1, 400, TOTAL));
        assert_ne!(arrivals(1, 400, TOTAL), arrivals(2, 400, TOTAL));
    }

    #[test]
    fn counts_per_second_scatter_as_a_poisson_process_does() {
        let all = arrivals(1, 400, TOTAL);
        let mut counts = [0_f64; 40];
        for arrival in &all {
            counts[arrival.due.as_secs() as usize] += 1.0;
        }
        let variance = counts.iter().map(|n| (n - 400.0).powi(2)).sum::<f64>() / 40.0;
        assert!(
            (200.0..800.0).contains(&variance),
            "variance {variance}, a Poisson has 400"
        );
    }
}
