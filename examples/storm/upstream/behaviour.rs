//! How an upstream answers: a pure decision from the seed, the number and the class of the call.

use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;

use crate::chance::{Purpose, draw};
use crate::schedule::Phase;
use crate::stage::{Class, Upstream};

/// How long a calm answer takes on average: 10 to 20 ms, all of them equally often.
pub const CALM: Duration = Duration::from_millis(15);

/// How many times longer an answer takes while an upstream is slow.
pub const SLOWNESS: u32 = 10;

/// The slowest answer of an upstream that gives any.
pub const SLOWEST: Duration = Duration::from_millis(20 * SLOWNESS as u64);

/// What an upstream is told to do, one word on its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Calm,
    Slow,
    HalfFailing,
    Hanging,
    /// Whoever does not check out asks for pages that take ten times as long.
    Rushed,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    After(Duration, StatusCode),
    Never,
}

impl Behaviour {
    pub const ALL: [Self; 5] = [
        Self::Calm,
        Self::Slow,
        Self::HalfFailing,
        Self::Hanging,
        Self::Rushed,
    ];

    /// What an upstream does in a phase; `None` when there is no payments.
    pub const fn during(phase: Phase, upstream: Upstream) -> Option<Self> {
        match (phase, upstream) {
            (Phase::Rush, _) => Some(Self::Rushed),
            (Phase::Calm | Phase::Back, _) | (_, Upstream::Inventory) => Some(Self::Calm),
            (Phase::Slow, Upstream::Payments) => Some(Self::Slow),
            (Phase::HalfFailing, Upstream::Payments) => Some(Self::HalfFailing),
            (Phase::Hanging, Upstream::Payments) => Some(Self::Hanging),
            (Phase::Dead, Upstream::Payments) => None,
        }
    }

    /// The word that stands for it on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Slow => "slow",
            Self::HalfFailing => "half-failing",
            Self::Hanging => "hanging",
            Self::Rushed => "rushed",
        }
    }

    /// Decides one call, always the same way for the same seed and number.
    pub fn answer(self, seed: u64, number: u64, class: Class) -> Answer {
        let calm = CALM * 2 / 3;
        let calm = calm.mul_f64(1.0 + draw(seed, Purpose::ServiceTime, number));
        let fails = draw(seed, Purpose::Failure, number) < 0.5;
        match self {
            Self::Calm => Answer::After(calm, StatusCode::OK),
            Self::Slow => Answer::After(calm * SLOWNESS, StatusCode::OK),
            Self::Rushed if class == Class::Checkout => Answer::After(calm, StatusCode::OK),
            Self::Rushed => Answer::After(calm * SLOWNESS, StatusCode::OK),
            Self::HalfFailing if fails => Answer::After(calm, StatusCode::SERVICE_UNAVAILABLE),
            Self::HalfFailing => Answer::After(calm, StatusCode::OK),
            Self::Hanging => Answer::Never,
        }
    }
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL
            .into_iter()
            .find(|behaviour| behaviour.word() == word);
        known.ok_or_else(|| format!("no behaviour is called {word:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn service_time(behaviour: Behaviour, number: u64, class: Class) -> Duration {
        match behaviour.answer(1, number, class) {
            Answer::After(time, _) => time,
            Answer::Never => Duration::MAX,
        }
    }

    #[test]
    fn each_word_is_understood_again() {
        for behaviour in Behaviour::ALL {
            assert_eq!(behaviour.word().parse(), Ok(behaviour));
        }
        assert!("angry".parse::<Behaviour>().is_err());
    }

    #[test]
    fn calm_answers_in_ten_to_twenty_milliseconds_and_slow_takes_ten_times_as_long() {
        for number in 0..1_000 {
            for class in Class::ALL {
                let calm = service_time(Behaviour::Calm, number, class);
                assert!((millis(10)..millis(20)).contains(&calm), "{calm:?}");
                assert_eq!(service_time(Behaviour::Slow, number, class), calm * 10);
            }
        }
    }

    #[test]
    fn in_the_rush_only_a_checkout_takes_no_longer_than_ever() {
        for number in 0..1_000 {
            let [checkout, rest, browse] =
                Class::ALL.map(|class| service_time(Behaviour::Rushed, number, class));
            assert!((millis(10)..millis(20)).contains(&checkout), "{checkout:?}");
            assert_eq!([rest, browse], [checkout * 10; 2]);
        }
    }

    #[test]
    fn inventory_is_calm_in_every_phase_but_the_rush() {
        for phase in Phase::ALL {
            let calm = Behaviour::during(phase, Upstream::Inventory) == Some(Behaviour::Calm);
            assert_eq!(calm, phase != Phase::Rush, "{phase:?}");
        }
    }

    #[test]
    fn half_of_the_answers_fail_and_the_same_ones_each_time() {
        let failed = |number| {
            matches!(
                Behaviour::HalfFailing.answer(1, number, Class::Rest),
                Answer::After(_, StatusCode::SERVICE_UNAVAILABLE)
            )
        };
        let first: Vec<bool> = (0..10_000).map(failed).collect();
        let again: Vec<bool> = (0..10_000).map(failed).collect();
        assert_eq!(first, again);
        let failures = first.into_iter().filter(|failed| *failed).count();
        assert!(
            (4_800..5_200).contains(&failures),
            "{failures} of 10 000 failed"
        );
    }

    #[test]
    fn a_hanging_upstream_never_answers() {
        assert_eq!(Behaviour::Hanging.answer(1, 5, Class::Rest), Answer::Never);
    }
}
