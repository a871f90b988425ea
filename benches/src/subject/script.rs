//! Which requests are sent, and what becomes of them.

use crate::inner::FAIL;

/// Which requests are sent, and what becomes of them.
pub trait Script: Send + 'static {
    /// The first request of the warm-up.
    const WARM_UP: u64 = 0;

    /// The request of call `index`.
    fn request(index: u64) -> u64 {
        index
    }

    /// Whether that call succeeds.
    fn succeeds(index: u64) -> bool;
}

/// Every call succeeds.
#[derive(Debug)]
pub struct Served;

impl Script for Served {
    fn succeeds(_: u64) -> bool {
        true
    }
}

/// Every call of the warm-up fails; from then on every call is refused, or the service would answer it.
#[derive(Debug)]
pub struct Refused;

impl Script for Refused {
    const WARM_UP: u64 = FAIL;

    fn succeeds(_: u64) -> bool {
        false
    }
}

/// Every fiftieth call fails: a window of 100 holds two failures at any time.
#[derive(Debug)]
pub struct FiftiethFails;

impl Script for FiftiethFails {
    #[inline]
    fn request(index: u64) -> u64 {
        if Self::succeeds(index) { index } else { FAIL }
    }

    #[inline]
    fn succeeds(index: u64) -> bool {
        index % 50 != 49
    }
}

/// Every request is sent until it succeeds, over a service that fails the first attempt of each.
#[derive(Debug)]
pub struct Attempts;

impl Script for Attempts {
    #[inline]
    fn request(index: u64) -> u64 {
        index / 2
    }

    #[inline]
    fn succeeds(index: u64) -> bool {
        index % 2 == 1
    }
}
