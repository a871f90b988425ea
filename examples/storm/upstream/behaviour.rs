//! How an upstream answers: a pure decision from the seed and from what is asked.

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

/// How often an upstream that is well answers 503 all the same, as any service does now and then.
pub const NOISE: f64 = 0.05;

/// What an upstream is told to do, one word on its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Well, but for the noise.
    Calm,
    Slow,
    HalfFailing,
    Hanging,
    /// Whoever does not check out asks for pages that take ten times as long.
    Rushed,
    /// The same, with the noise.
    RushedWithNoise,
}

/// One attempt as it comes in.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The number of the call.
    pub call: u64,
    /// How many attempts of the call were sent before.
    pub attempt: u64,
    pub class: Class,
}

impl Asked {
    /// What chance decides for this attempt, and for no other.
    fn draw(self, seed: u64, purpose: Purpose) -> f64 {
        // No gateway sends a call as often as 16 times.
        draw(
            seed,
            purpose,
            self.call.wrapping_mul(16) + self.attempt % 16,
        )
    }
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    After(Duration, StatusCode),
    Never,
}

impl Behaviour {
    pub const ALL: [Self; 6] = [
        Self::Calm,
        Self::Slow,
        Self::HalfFailing,
        Self::Hanging,
        Self::Rushed,
        Self::RushedWithNoise,
    ];

    /// What an upstream does in a phase; `None` when there is no payments.
    pub const fn during(phase: Phase, upstream: Upstream) -> Option<Self> {
        match (phase, upstream) {
            (Phase::Rush, Upstream::Inventory) => Some(Self::RushedWithNoise),
            (Phase::Rush, Upstream::Payments) => Some(Self::Rushed),
            (Phase::Calm | Phase::Back, _) | (_, Upstream::Inventory) => Some(Self::Calm),
            (Phase::Slow, Upstream::Payments) => Some(Self::Slow),
            (Phase::HalfFailing, Upstream::Payments) => Some(Self::HalfFailing),
            (Phase::Hanging, Upstream::Payments) => Some(Self::Hanging),
            (Phase::Dead, Upstream::Payments) => None,
        }
    }

    /// What the replica of an upstream does in a phase. It is well, noise and all, but for its own part in
    /// the outage: once payments is dead, and all that payments did is asked of it, it is slow.
    pub const fn of_replica(phase: Phase, upstream: Upstream) -> Self {
        match (phase, upstream) {
            (Phase::Rush, _) => Self::RushedWithNoise,
            (Phase::Dead, Upstream::Payments) => Self::Slow,
            _ => Self::Calm,
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
            Self::RushedWithNoise => "rushed-with-noise",
        }
    }

    /// Decides one attempt, always the same way for the same seed, call and attempt.
    pub fn answer(self, seed: u64, asked: Asked) -> Answer {
        if self == Self::Hanging {
            return Answer::Never;
        }
        let fails = asked.draw(seed, Purpose::Failure) < self.failing();
        let status = if fails {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        };
        let shortest = CALM * 2 / 3;
        let time = shortest.mul_f64(1.0 + asked.draw(seed, Purpose::ServiceTime));
        Answer::After(time * self.slowness(asked.class), status)
    }

    /// The share of attempts that are answered 503.
    const fn failing(self) -> f64 {
        match self {
            Self::Calm | Self::RushedWithNoise => NOISE,
            Self::HalfFailing => 0.5,
            Self::Slow | Self::Hanging | Self::Rushed => 0.0,
        }
    }

    /// How many times longer than ever an answer takes.
    const fn slowness(self, class: Class) -> u32 {
        match (self, class) {
            (Self::Rushed | Self::RushedWithNoise, Class::Checkout) => 1,
            (Self::Slow | Self::Rushed | Self::RushedWithNoise, _) => SLOWNESS,
            (Self::Calm | Self::HalfFailing | Self::Hanging, _) => 1,
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

    fn answer(behaviour: Behaviour, call: u64, attempt: u64, class: Class) -> Answer {
        let asked = Asked {
            call,
            attempt,
            class,
        };
        behaviour.answer(1, asked)
    }

    fn service_time(behaviour: Behaviour, call: u64, class: Class) -> Duration {
        match answer(behaviour, call, 0, class) {
            Answer::After(time, _) => time,
            Answer::Never => Duration::MAX,
        }
    }

    fn fails(behaviour: Behaviour, call: u64, attempt: u64) -> bool {
        let answer = answer(behaviour, call, attempt, Class::Rest);
        matches!(answer, Answer::After(_, StatusCode::SERVICE_UNAVAILABLE))
    }

    /// How many of ten thousand attempts fail, which are to be the same ones each time.
    fn failures(behaviour: Behaviour) -> usize {
        let attempts = || (0..10_000).map(|n| fails(behaviour, n, n % 4));
        assert!(attempts().eq(attempts()));
        attempts().filter(|failed| *failed).count()
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
    fn half_of_the_answers_fail_or_one_in_twenty_or_none() {
        assert!((4_800..5_200).contains(&failures(Behaviour::HalfFailing)));
        for noisy in [Behaviour::Calm, Behaviour::RushedWithNoise] {
            assert!((440..560).contains(&failures(noisy)), "{noisy:?}");
        }
        for reliable in [Behaviour::Slow, Behaviour::Rushed] {
            assert_eq!(failures(reliable), 0, "{reliable:?}");
        }
    }

    #[test]
    fn chance_treats_each_attempt_on_its_own() {
        let both = |n| fails(Behaviour::HalfFailing, n, 0) && fails(Behaviour::HalfFailing, n, 1);
        let both = (0..10_000).filter(|n| both(*n)).count();
        assert!(
            (2_300..2_700).contains(&both),
            "{both} of 10 000 failed twice"
        );
    }

    #[test]
    fn inventory_is_noisy_in_every_phase_and_payments_before_and_after_its_outage() {
        for phase in Phase::ALL {
            let noisy = |upstream| {
                let behaviour = Behaviour::during(phase, upstream);
                behaviour.is_some_and(|behaviour| behaviour.failing() == NOISE)
            };
            assert!(noisy(Upstream::Inventory), "{phase:?}");
            let well = matches!(phase, Phase::Calm | Phase::Back);
            assert_eq!(noisy(Upstream::Payments), well, "{phase:?}");
        }
    }

    #[test]
    fn the_replica_of_payments_is_slow_while_it_stands_alone_and_no_other_ever_is() {
        for phase in Phase::ALL {
            for upstream in Upstream::ALL {
                let slow = Behaviour::of_replica(phase, upstream) == Behaviour::Slow;
                let alone = Behaviour::during(phase, upstream).is_none();
                assert_eq!(slow, alone, "{phase:?}, {upstream:?}");
            }
        }
    }

    #[test]
    fn a_hanging_upstream_never_answers() {
        assert_eq!(answer(Behaviour::Hanging, 5, 0, Class::Rest), Answer::Never);
    }
}
