//! How an upstream answers: a pure decision from the seed and the number of the call.

use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;

use crate::chance::{Purpose, draw};
use crate::schedule::Phase;

/// What an upstream is told to do, one word on its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Calm,
    Slow,
    HalfFailing,
    Hanging,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    After(Duration, StatusCode),
    Never,
}

impl Behaviour {
    pub const ALL: [Self; 4] = [Self::Calm, Self::Slow, Self::HalfFailing, Self::Hanging];

    /// What payments does in a phase; `None` when there is no payments.
    pub const fn during(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Calm | Phase::Back => Some(Self::Calm),
            Phase::Slow => Some(Self::Slow),
            Phase::HalfFailing => Some(Self::HalfFailing),
            Phase::Hanging => Some(Self::Hanging),
            Phase::Dead => None,
        }
    }

    /// The word that stands for it on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Slow => "slow",
            Self::HalfFailing => "half-failing",
            Self::Hanging => "hanging",
        }
    }

    /// Decides one call, always the same way for the same seed and number.
    pub fn answer(self, seed: u64, number: u64) -> Answer {
        let calm =
            Duration::from_millis(10).mul_f64(1.0 + draw(seed, Purpose::ServiceTime, number));
        let fails = draw(seed, Purpose::Failure, number) < 0.5;
        match self {
            Self::Calm => Answer::After(calm, StatusCode::OK),
            Self::Slow => Answer::After(calm * 10, StatusCode::OK),
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

    fn service_time(behaviour: Behaviour, number: u64) -> Duration {
        match behaviour.answer(1, number) {
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
            let calm = service_time(Behaviour::Calm, number);
            assert!((millis(10)..millis(20)).contains(&calm), "{calm:?}");
            assert_eq!(service_time(Behaviour::Slow, number), calm * 10);
        }
    }

    #[test]
    fn half_of_the_answers_fail_and_the_same_ones_each_time() {
        let failed = |number| {
            matches!(
                Behaviour::HalfFailing.answer(1, number),
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
        assert_eq!(Behaviour::Hanging.answer(1, 5), Answer::Never);
    }
}
