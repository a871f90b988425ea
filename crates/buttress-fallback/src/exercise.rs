//! Calls that go to another level first, so that it is known to work.

use buttress_core::Level;
use buttress_sync::Random;

use crate::rung::{Ask, Rung};

/// How often a call goes to another level first, and to which.
pub(crate) struct Exercise {
    /// Of 2^64.
    share: u64,
    places: Vec<u8>,
    random: Random,
}

impl Exercise {
    /// Those levels take part that are called: a value and a cache in this process always work.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share from 0 to 1, of all numbers"
    )]
    pub(crate) fn new<Req, T, E, V>(
        share: f64,
        seed: Option<u64>,
        rungs: &[Rung<Req, T, E, V>],
    ) -> Option<Self> {
        let is_called = |rung: &Rung<Req, T, E, V>| {
            rung.level != Level::Primary
                && (matches!(rung.asks, Ask::Call(_)) || rung.level == Level::DistributedCache)
        };
        let places = (0..).zip(rungs);
        let places = places.filter_map(|(place, rung)| is_called(rung).then_some(place));
        let places: Vec<u8> = places.collect();
        (share > 0.0 && !places.is_empty()).then(|| Self {
            share: (share * u64::MAX as f64) as u64,
            places,
            random: seed.map_or_else(Random::from_entropy, Random::seeded),
        })
    }

    pub(crate) fn draw(&self) -> Option<u8> {
        let drawn = self.random.next_u64();
        if drawn > self.share {
            return None;
        }
        let which = self.random.next_u64() % self.places.len().max(1) as u64;
        let which = usize::try_from(which).unwrap_or_default();
        self.places.get(which).copied()
    }
}
