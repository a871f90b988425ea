//! Whose call it is, where each caller has a limit of its own.

/// So many that they fit into no cache.
pub const MANY: u64 = 1_000_000;

/// Who makes this call, among `callers`: another one than the call before, and nowhere near it. In three calls for each of them
/// everybody has his turn.
#[inline(always)]
pub fn caller_of(request: u64, callers: u64) -> u64 {
    // The golden ratio spreads any number of calls evenly over the callers.
    let place = request.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((u128::from(place) * u128::from(callers)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::inner::FAIL;

    #[test]
    fn everybody_calls_before_long_and_nobody_twice_in_a_row() {
        for callers in [2, 3, 1000, 1024] {
            for first in [0, 77, FAIL] {
                let calls = (first..first + 3 * callers).map(|call| caller_of(call, callers));
                let calls: Vec<_> = calls.collect();
                assert!(callers == 2 || calls.windows(2).all(|two| two[0] != two[1]));
                let seen: HashSet<_> = calls.into_iter().collect();
                assert_eq!(seen.len() as u64, callers);
                assert!(seen.iter().all(|&caller| caller < callers));
            }
        }
    }

    #[test]
    fn one_who_is_alone_makes_every_call() {
        assert!((0..100).all(|call| caller_of(call, 1) == 0));
    }
}
