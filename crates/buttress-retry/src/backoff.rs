use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use buttress_sync::Random;

/// How long to wait before an attempt.
///
/// Exponential by default: 100 ms, doubled with each retry, 60 s at most, ±50 % by chance. Every delay lies between zero and the
/// cap, with the jitter and for every number of attempts.
///
/// ```
/// use std::time::Duration;
/// use buttress_retry::{Backoff, Jitter};
///
/// let backoff = Backoff::exponential(Duration::from_millis(50))
///     .factor(1.5)
///     .cap(Duration::from_secs(10))
///     .jitter(Jitter::Full);
/// # let _ = backoff;
/// ```
#[derive(Clone)]
#[must_use = "a back-off does nothing until a retry has it"]
pub struct Backoff {
    growth: Growth,
    base: Duration,
    cap: Duration,
    jitter: Jitter,
}

/// How chance spreads the delays, so that clients that failed together do not come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// From half of the delay to one and a half.
    #[default]
    Proportional,
    /// From zero to the delay (Brooker, "Exponential Backoff and Jitter", 2015).
    Full,
    /// From half of the delay to the delay.
    Equal,
    /// Always the delay.
    None,
}

#[derive(Clone)]
enum Growth {
    Constant,
    Linear,
    Exponential { factor: f64 },
    Fibonacci,
    Decorrelated,
    Custom(Arc<dyn Fn(u32) -> Duration + Send + Sync>),
}

/// What a hint of the server is lengthened by at most, so that those that got the same hint do not come at once.
const HINT_JITTER: f64 = 0.1;

impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_millis(100))
    }
}

impl Backoff {
    /// The same delay every time.
    pub const fn constant(delay: Duration) -> Self {
        Self::new(Growth::Constant, delay)
    }

    /// `base`, twice that, three times that, …
    pub const fn linear(base: Duration) -> Self {
        Self::new(Growth::Linear, base)
    }

    /// `base`, twice that, four times that, …; another [`factor`](Self::factor) than two can be chosen.
    pub const fn exponential(base: Duration) -> Self {
        Self::new(Growth::Exponential { factor: 2.0 }, base)
    }

    /// `base` times 1, 1, 2, 3, 5, 8, …
    pub const fn fibonacci(base: Duration) -> Self {
        Self::new(Growth::Fibonacci, base)
    }

    /// From `base` to three times the delay before, by chance; a jitter has no say in it (Brooker 2015).
    pub const fn decorrelated(base: Duration) -> Self {
        Self::new(Growth::Decorrelated, base)
    }

    /// What a function of the number of the retry says, the first being 1.
    pub fn custom(delay: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        Self::new(Growth::Custom(Arc::new(delay)), Duration::ZERO)
    }

    const fn new(growth: Growth, base: Duration) -> Self {
        Self {
            growth,
            base,
            cap: Duration::from_secs(60),
            jitter: Jitter::Proportional,
        }
    }

    /// What an exponential delay is multiplied with: 2 by default. Below 1, or no number, it counts as 1. No other back-off
    /// has one.
    pub fn factor(mut self, factor: f64) -> Self {
        if let Growth::Exponential { factor: kept } = &mut self.growth {
            // `max` takes the other one for what is no number.
            *kept = factor.max(1.0);
        }
        self
    }

    /// The longest delay: 60 s by default. A server that asks for more is not asked again.
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// How chance spreads the delays: [`Jitter::Proportional`] by default.
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The delay before a retry; the first is number 1. `previous` is the delay before that, and `least` a base that this kind of
    /// failure asks for.
    #[inline]
    pub(crate) fn delay(
        &self,
        retry: u32,
        previous: Duration,
        least: Duration,
        random: &Random,
    ) -> Duration {
        // Zero stays zero, whatever it grows by; zero times infinity would be no number.
        if self.base.is_zero() && least.is_zero() && !matches!(self.growth, Growth::Custom(_)) {
            return Duration::ZERO;
        }
        self.grown(retry, previous, least, random)
    }

    #[inline(never)]
    fn grown(&self, retry: u32, previous: Duration, least: Duration, random: &Random) -> Duration {
        let base = self.base.max(least);
        let cap = self.cap.as_secs_f64();
        if let Growth::Decorrelated = self.growth {
            let base = base.as_secs_f64();
            // Cut before chance, here too.
            let high = (previous.as_secs_f64() * 3.0).max(base).min(cap);
            let base = base.min(cap);
            return self.cut(base + (high - base) * unit(random));
        }
        let delay = self
            .raw(retry.max(1), base)
            .max(least.as_secs_f64())
            .min(cap);
        let (low, high) = match self.jitter {
            Jitter::Proportional => (delay * 0.5, delay * 1.5),
            Jitter::Full => (0.0, delay),
            Jitter::Equal => (delay * 0.5, delay),
            Jitter::None => (delay, delay),
        };
        // Cut before chance: at the cap the delays must not all be the cap.
        let high = high.min(cap);
        self.cut(low + (high - low) * unit(random))
    }

    /// The delay that a server's hint makes: the hint or the own delay, the longer, and a little more by chance. None when the
    /// server asks for more than the cap.
    pub(crate) fn hinted(
        &self,
        hint: Duration,
        own: Duration,
        random: &Random,
    ) -> Option<Duration> {
        if hint > self.cap {
            return None;
        }
        let more = hint.as_secs_f64() * HINT_JITTER * unit(random);
        let delay = self.cut(hint.max(own).as_secs_f64() + more);
        Some(delay.max(hint))
    }

    /// The delay before cap and jitter, in seconds.
    fn raw(&self, retry: u32, base: Duration) -> f64 {
        let seconds = base.as_secs_f64();
        match &self.growth {
            Growth::Constant | Growth::Decorrelated => seconds,
            Growth::Linear => seconds * f64::from(retry),
            Growth::Exponential { factor } => seconds * factor.powf(f64::from(retry - 1)),
            Growth::Fibonacci => seconds * fibonacci(retry),
            Growth::Custom(delay) => delay(retry).as_secs_f64(),
        }
    }

    /// A number of seconds as a duration, the cap at most.
    fn cut(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds).map_or(self.cap, |delay| delay.min(self.cap))
    }
}

/// 1, 1, 2, 3, 5, …, and no more than the hundredth: a nanosecond times that is above a thousand years.
fn fibonacci(number: u32) -> f64 {
    let (_, wanted) = (1..number.min(100)).fold((0.0, 1.0), |(last, this), _| (this, last + this));
    wanted
}

/// A number from 0 to below 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(random: &Random) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let growth = match self.growth {
            Growth::Constant => "constant",
            Growth::Linear => "linear",
            Growth::Exponential { .. } => "exponential",
            Growth::Fibonacci => "fibonacci",
            Growth::Decorrelated => "decorrelated",
            Growth::Custom(_) => "custom",
        };
        f.debug_struct("Backoff")
            .field("growth", &growth)
            .field("base", &self.base)
            .field("cap", &self.cap)
            .field("jitter", &self.jitter)
            .finish()
    }
}

#[cfg(all(test, not(buttress_loom)))]
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests may fail a test"
)]
mod tests;
