//! When calls arrive: a Poisson process with a fixed number of calls, repeated by its seed.

use std::ops::Range;
use std::time::Duration;

use crate::chance::{Purpose, draw};
use crate::clients::Caller;
use crate::stage::{Class, Upstream};

/// One call that both gateways get at the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Names the call: every decision about it is drawn from the seed and this number.
    pub number: u64,
    /// When it is to be sent, counted from the start of the run.
    pub due: Duration,
    pub upstream: Upstream,
    pub class: Class,
    pub caller: Caller,
    /// What it asks for.
    pub item: u32,
}

/// How many items there are to ask for, each as often as any other.
///
/// Few enough for the calm phase to ask for most of them, so that what is kept of its answers is of use;
/// and so many that something is always missing.
pub const ITEMS: u32 = 200;

/// A part of the run in which calls arrive at one rate.
#[derive(Clone, Debug)]
pub struct Stretch {
    pub span: Range<Duration>,
    /// Calls per second.
    pub rate: u32,
    /// Who makes them, each as often as any other.
    pub clients: u32,
}

/// Who calls, in turn: three of five browse, one checks out.
///
/// Checkout comes last, so that it is never more than a fifth of the calls and browse never less
/// than three, wherever the count ends. Two upstreams and five turns meet in every combination.
const TURNS: [Class; 5] = [
    Class::Browse,
    Class::Browse,
    Class::Browse,
    Class::Rest,
    Class::Checkout,
];

/// All calls of a run in the order they are due, half of those of each stretch for each upstream.
///
/// Points drawn evenly over a stretch and sorted *are* a Poisson process of known size, so the run
/// has bursts and gaps like real traffic and still a fixed number of calls.
pub fn arrivals(seed: u64, stretches: &[Stretch]) -> Vec<Arrival> {
    let mut drawn = 0;
    let mut all: Vec<Arrival> = stretches
        .iter()
        .flat_map(|stretch| {
            let first = drawn;
            drawn += stretch.calls();
            (0..stretch.calls()).map(move |n| stretch.arrival(seed, first, n))
        })
        .collect();
    all.sort_by_key(|arrival| arrival.due);
    for (number, arrival) in (0..).zip(&mut all) {
        arrival.number = number;
    }
    all
}

impl Stretch {
    fn length(&self) -> Duration {
        self.span.end - self.span.start
    }

    fn calls(&self) -> u64 {
        (f64::from(self.rate) * self.length().as_secs_f64()).round() as u64
    }

    /// The `n`th call drawn for the stretch, before which `first` were drawn for others.
    fn arrival(&self, seed: u64, first: u64, n: u64) -> Arrival {
        let upstream = Upstream::ALL[(n % 2) as usize];
        let client = draw(seed, Purpose::Client, first + n);
        let item = draw(seed, Purpose::Item, first + n);
        let place = draw(seed, purpose(upstream), first + n / 2);
        Arrival {
            number: 0,
            due: self.span.start + self.length().mul_f64(place),
            upstream,
            class: TURNS[(n % 5) as usize],
            caller: Caller::drawn(client, self.clients),
            item: (item * f64::from(ITEMS)) as u32,
        }
    }
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

    fn stretch(from: u64, to: u64, rate: u32) -> Stretch {
        Stretch {
            span: Duration::from_secs(from)..Duration::from_secs(to),
            rate,
            clients: 100,
        }
    }

    fn even(seed: u64) -> Vec<Arrival> {
        arrivals(seed, &[stretch(0, 40, 400)])
    }

    fn count(arrivals: &[Arrival], which: impl Fn(&Arrival) -> bool) -> usize {
        arrivals.iter().filter(|arrival| which(arrival)).count()
    }

    #[test]
    fn the_number_of_calls_is_fixed_and_half_go_to_each_upstream() {
        let all = even(1);
        assert_eq!(all.len(), 16_000);
        for class in Class::ALL {
            let to = |upstream| count(&all, |a| a.upstream == upstream && a.class == class);
            assert_eq!(to(Upstream::Inventory), to(Upstream::Payments), "{class:?}");
        }
    }

    #[test]
    fn checkout_is_a_fifth_at_most_and_browse_three_at_least() {
        for rate in 10..100 {
            let all = arrivals(1, &[stretch(0, 1, rate)]);
            let of = |class| count(&all, |a| a.class == class);
            assert!(of(Class::Checkout) * 5 <= all.len(), "{rate}");
            assert!(of(Class::Browse) * 5 >= all.len() * 3, "{rate}");
        }
    }

    #[test]
    fn each_stretch_has_calls_at_its_own_rate_and_none_are_alike() {
        let all = arrivals(1, &[stretch(0, 8, 400), stretch(8, 10, 1_000)]);
        let early = count(&all, |a| a.due < Duration::from_secs(8));
        assert_eq!((early, all.len() - early), (3_200, 2_000));
        assert!((0..).zip(&all).all(|(n, a)| a.number == n));
        let alone = arrivals(1, &[stretch(0, 8, 400)]);
        assert_eq!(
            all[..3_200],
            alone,
            "a later stretch changes no earlier one"
        );
    }

    #[test]
    fn calls_are_due_in_order_and_within_the_run() {
        let all = even(1);
        assert!(all.windows(2).all(|pair| pair[0].due <= pair[1].due));
        assert!(all.iter().all(|a| a.due < TOTAL));
    }

    #[test]
    fn the_seed_repeats_a_run_and_another_seed_makes_another() {
        assert_eq!(even(1), even(1));
        assert_ne!(even(1), even(2));
    }

    #[test]
    fn every_item_is_asked_for_and_none_much_more_than_the_others() {
        let all = even(1);
        for item in 0..ITEMS {
            // 80 on average, give or take five times what chance does.
            let its = count(&all, |arrival| arrival.item == item);
            assert!((35..=125).contains(&its), "{its} of {item}");
        }
    }

    #[test]
    fn counts_per_second_scatter_as_a_poisson_process_does() {
        let all = even(1);
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
