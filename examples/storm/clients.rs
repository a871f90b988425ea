//! Who calls: many clients that keep to their share, and one that asks for ten times as much.

use std::fmt;

use crate::load::arrivals::Arrival;
use crate::stage::Class;

/// How many clients share what is called evenly.
pub const CLIENTS: u32 = 100;

/// How many times its share the greedy client asks for.
pub const GREED: u32 = 10;

/// The header in which a client says who it is.
///
/// On loopback all clients have one address. A gateway that strangers call takes that, with buttress's
/// `ClientIp`: a client writes into a header what it likes, and a new name with every call.
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
    /// The client that the `number`th call of all belongs to.
    pub const fn of(number: u64) -> Self {
        Self::Fair((number % CLIENTS as u64) as u32)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::arrivals::{Stretch, arrivals};

    fn calls(seed: u64, rate: u32) -> Vec<Arrival> {
        let span = Duration::ZERO..Duration::from_secs(10);
        arrivals(seed, &[Stretch { span, rate }])
    }

    #[test]
    fn the_greedy_client_asks_for_ten_times_what_another_does() {
        let all = join(calls(1, 400), calls(2, greedy_rate(400)));
        let of = |caller| all.iter().filter(|a| a.caller == caller).count();
        assert_eq!(of(Caller::Fair(0)), 40);
        assert_eq!(of(Caller::Fair(99)), 40);
        assert_eq!(of(Caller::Greedy), 400);
        assert!(all.is_sorted_by_key(|arrival| arrival.due));
    }

    #[test]
    fn the_others_call_as_they_would_without_it() {
        let all = join(calls(1, 400), calls(2, greedy_rate(400)));
        let others: Vec<_> = all
            .into_iter()
            .filter(|a| a.caller != Caller::Greedy)
            .collect();
        assert_eq!(others, calls(1, 400));
    }

    #[test]
    fn no_two_calls_have_one_number() {
        let all = join(calls(1, 400), calls(2, 40));
        let mut numbers: Vec<_> = all.iter().map(|arrival| arrival.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all.len());
    }
}
