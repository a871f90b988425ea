//! Chance that a seed repeats: a draw depends on what it is for and on its number, never on timing.

/// What a draw decides; draws for different purposes are independent.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    InventoryArrival = 1,
    PaymentsArrival = 2,
    ServiceTime = 3,
    Failure = 4,
    GreedyArrival = 5,
    Client = 6,
    Item = 7,
    Replica = 8,
}

/// Draws a number in `0.0..1.0` that is always the same for the same arguments.
pub fn draw(seed: u64, purpose: Purpose, number: u64) -> f64 {
    let bits = mix(mix(mix(seed) ^ purpose as u64) ^ number);
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The finalizer of SplitMix64: every bit of the input moves half of the output's bits.
const fn mix(value: u64) -> u64 {
    let mut bits = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_repeated_by_its_seed_and_changed_by_another() {
        assert_eq!(draw(7, Purpose::Failure, 3), draw(7, Purpose::Failure, 3));
        assert_ne!(draw(7, Purpose::Failure, 3), draw(8, Purpose::Failure, 3));
        assert_ne!(
            draw(7, Purpose::Failure, 3),
            draw(7, Purpose::ServiceTime, 3)
        );
    }

    #[test]
    fn draws_spread_evenly() {
        let low = (0..100_000)
            .filter(|n| draw(1, Purpose::Failure, *n) < 0.5)
            .count();
        assert!(
            (49_000..51_000).contains(&low),
            "{low} of 100 000 under one half"
        );
    }
}
