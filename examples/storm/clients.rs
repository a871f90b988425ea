//! Who calls: many clients that keep to their share, and one that asks for ten times as much.

use std::fmt;
use std::iter::Sum;

use serde::Serialize;

use crate::load::arrivals::Arrival;
use crate::stage::Class;

/// How many clients share the calls until the rush, which more of them bring.
pub const CLIENTS: u32 = 100;

/// How many times its share the greedy client asks for.
pub const GREED: u32 = 10;

/// The header in which a client says who it is.
///
/// On loopback all clients have one address. A gateway that strangers call takes that instead, with
/// buttress's `ClientIp`: in a header they write what they like, a new name with every call.
pub const CLIENT_HEADER: &str = "x-client";

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// One of those that share evenly.
    Fair(u32),
    /// The one that asks for more. What becomes of its calls is told apart from everything else.
    Greedy,
}

impl Caller {
    /// The one of so many clients that a draw from `0.0..1.0` means. Each calls by chance, as people
    /// do, sometimes twice at once.
    pub fn drawn(draw: f64, clients: u32) -> Self {
        Self::Fair((draw * f64::from(clients)) as u32)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fair(number) => write!(f, "client-{number}"),
            Self::Greedy => f.write_str("greedy"),
        }
    }
}

/// How many calls per second are ten times the share of one client.
pub fn greedy_rate(rate: u32) -> u32 {
    (rate * GREED).div_ceil(CLIENTS)
}

/// How many clients make a rush, none of which calls more often than one does before it.
pub fn clients_in_rush(rate: u32, rush_rate: u32) -> u32 {
    (rush_rate * CLIENTS).div_ceil(rate)
}

/// Puts the calls of the greedy client among the `others`, which stay as they are. It looks around, as
/// most do, at what either upstream has.
pub fn join(mut others: Vec<Arrival>, greedy: Vec<Arrival>) -> Vec<Arrival> {
    let first = others.len() as u64;
    others.extend(greedy.into_iter().map(|arrival| Arrival {
        number: first + arrival.number,
        class: Class::Browse,
        caller: Caller::Greedy,
        ..arrival
    }));
    others.sort_by_key(|arrival| arrival.due);
    others
}

/// What became of the greedy client's calls, and what it cost the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Greed {
    /// Its calls.
    pub calls: usize,
    /// Those that a limit of its own turned away.
    pub limited: usize,
    /// Those that were served.
    pub served: usize,
    /// Calls of all others that such a limit turned away.
    pub others_limited: usize,
}

impl Greed {
    /// Its calls that got past the limit.
    pub const fn let_in(&self) -> usize {
        self.calls - self.limited
    }
}

impl Sum for Greed {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            calls: a.calls + b.calls,
            limited: a.limited + b.limited,
            served: a.served + b.served,
            others_limited: a.others_limited + b.others_limited,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::gateway::plan::{Allowance, Plan};
    use crate::load::arrivals::{Stretch, arrivals};
    use crate::schedule::Schedule;

    fn calls(seed: u64, rate: u32, clients: u32) -> Vec<Arrival> {
        let span = Duration::ZERO..Duration::from_secs(40);
        let stretch = Stretch {
            span,
            rate,
            clients,
        };
        arrivals(seed, &[stretch])
    }

    #[test]
    fn the_greedy_client_asks_for_ten_times_what_others_do() {
        let all = join(calls(1, 400, CLIENTS), calls(2, greedy_rate(400), 1));
        let of = |caller| all.iter().filter(|a| a.caller == caller).count();
        // 160 on average, give or take four times what chance does.
        for client in 0..CLIENTS {
            let its = of(Caller::Fair(client));
            assert!((110..=210).contains(&its), "{its} of {client}");
        }
        assert_eq!(of(Caller::Fair(CLIENTS)), 0);
        assert_eq!(of(Caller::Greedy), 1_600);
        assert!(all.is_sorted_by_key(|arrival| arrival.due));
    }

    #[test]
    fn the_others_call_as_they_would_without_it() {
        let all = join(calls(1, 400, CLIENTS), calls(2, 40, 1)).into_iter();
        let others: Vec<_> = all.filter(|a| a.caller != Caller::Greedy).collect();
        assert_eq!(others, calls(1, 400, CLIENTS));
    }

    #[test]
    fn no_two_calls_have_one_number() {
        let all = join(calls(1, 400, CLIENTS), calls(2, 40, 1));
        let mut numbers: Vec<_> = all.iter().map(|arrival| arrival.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all.len());
    }

    #[test]
    fn who_brings_a_rush_calls_no_more_often_than_before() {
        for (rate, rush_rate) in [(10, 833), (400, 1_292), (2_000, 6_458)] {
            let share = f64::from(rush_rate) / f64::from(clients_in_rush(rate, rush_rate));
            let before = f64::from(rate) / f64::from(CLIENTS);
            assert!(share <= before && share > before * 0.99, "{rate}");
        }
    }

    /// How many of the calls a bucket for each client would turn away.
    fn limited(arrivals: &[Arrival], allowance: Allowance) -> usize {
        let full = f64::from(allowance.burst);
        let mut buckets = HashMap::new();
        let turned_away = |arrival: &&Arrival| {
            let key = arrival.caller.to_string();
            let (left, since) = buckets.entry(key).or_insert((full, Duration::ZERO));
            *left += allowance.rate() * (arrival.due - *since).as_secs_f64();
            *since = arrival.due;
            *left = left.min(full);
            let let_in = *left >= 1.0;
            *left -= f64::from(u8::from(let_in));
            !let_in
        };
        arrivals.iter().filter(turned_away).count()
    }

    #[test]
    fn whoever_keeps_to_its_share_is_never_limited_and_the_greedy_client_is() {
        let schedule = Schedule::new(Duration::from_secs(40));
        for (rate, seed) in [(10, 1), (400, 1), (400, 2), (400, 3), (2_000, 1)] {
            let plan = Plan::new(schedule, rate);
            assert_eq!(limited(&calls(seed, rate, CLIENTS), plan.per_client), 0);
            let (rush, many) = (plan.rush_rate, clients_in_rush(rate, plan.rush_rate));
            assert_eq!(limited(&calls(seed, rush, many), plan.per_client), 0);
        }
        let greedy = join(Vec::new(), calls(1, greedy_rate(400), 1));
        let let_in = greedy.len() - limited(&greedy, Plan::new(schedule, 400).per_client);
        assert!((265..=270).contains(&let_in), "{let_in}");
    }

    #[test]
    fn what_became_of_it_adds_up() {
        let greed = Greed {
            calls: 10,
            limited: 7,
            served: 2,
            others_limited: 1,
        };
        let both: Greed = [greed, greed].into_iter().sum();
        assert_eq!((both.calls, both.let_in(), both.served), (20, 6, 4));
        assert_eq!(both.others_limited, 2);
    }
}
